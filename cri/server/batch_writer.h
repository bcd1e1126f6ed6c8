// SPDX-License-Identifier: Apache-2.0
#pragma once

// A list as a stream of batches (the Stream* calls of the CRI), each small
// enough for any client however long the list is. Writing blocks while the
// client does not read; it ends when the call does.

#include <google/protobuf/repeated_field.h>
#include <grpcpp/support/sync_stream.h>

#include <cstddef>
#include <utility>

#include "lib/base/status.h"

namespace serai::cri {

// `Response` has a repeated field of `Item`, to which `items` gives access.
template <typename Response, typename Item>
class BatchWriter {
 public:
  static constexpr int kMaxItems = 256;
  // One item alone may be larger.
  static constexpr size_t kMaxBytes = 1 << 20;

  using Items = google::protobuf::RepeatedPtrField<Item>* (Response::*)();

  BatchWriter(grpc::ServerWriterInterface<Response>* writer, Items items)
      : writer_(writer), items_(items) {}

  // CANCELLED when nobody wants it any more.
  absl::Status Add(Item item) {
    const size_t size = item.ByteSizeLong();
    auto* items = (batch_.*items_)();
    if (items->size() >= kMaxItems ||
        (!items->empty() && bytes_ + size > kMaxBytes)) {
      RETURN_IF_ERROR(Flush());
    }
    bytes_ += size;
    *items->Add() = std::move(item);
    return absl::OkStatus();
  }

  // Writes what is left.
  absl::Status Flush() {
    if ((batch_.*items_)()->empty()) return absl::OkStatus();
    const bool written = writer_->Write(batch_);
    batch_.Clear();
    bytes_ = 0;
    if (written) return absl::OkStatus();
    return absl::CancelledError("the client does not read any more");
  }

 private:
  grpc::ServerWriterInterface<Response>* const writer_;
  const Items items_;
  Response batch_;
  size_t bytes_ = 0;
};

}  // namespace serai::cri
