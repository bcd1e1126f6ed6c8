// SPDX-License-Identifier: Apache-2.0
#pragma once

// One of the two servers behind the router, called with methods' names and
// bytes; and what a call takes along from one side to the other.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cri {

// Any thread.
class Backend {
 public:
  // `name` is for people: "containerd (/run/containerd/containerd.sock)".
  Backend(std::string name, const std::shared_ptr<grpc::Channel>& channel)
      : name_(std::move(name)), stub_(channel) {}

  grpc::GenericStub& stub() { return stub_; }

  // The end of a call as its client is to see it: untouched, but for a server
  // that can't be reached, of which a sentence tells instead of gRPC's insides.
  grpc::Status Explained(const grpc::Status& status,
                         const grpc::ClientContext& call) const;

 private:
  const std::string name_;
  grpc::GenericStub stub_;
};

// Gives `out` the deadline and the metadata of the call that came in, but for
// what each connection says for itself, and for what can't be sent.
void TakeAlong(const grpc::CallbackServerContext& in, grpc::ClientContext& out);

// And the same back.
void TakeBackInitialMetadata(const grpc::ClientContext& out,
                             grpc::CallbackServerContext& in);
void TakeBackTrailingMetadata(const grpc::ClientContext& out,
                              grpc::CallbackServerContext& in);

// The bytes of a message in one piece.
absl::StatusOr<grpc::Slice> OnePiece(const grpc::ByteBuffer& message);
inline absl::string_view TextOf(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace serai::cri
