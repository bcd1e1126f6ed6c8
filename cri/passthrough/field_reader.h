// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads single fields out of a message in protobuf's wire format
// (protobuf.dev/programming-guides/encoding), with no message class: what is
// passed on may have fields that no class of ours knows. Copies nothing, and
// looks at every byte at most once per level. Any thread.

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "lib/base/status.h"

namespace serai::cri {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  absl::string_view value;  // of kBytes: what is in it; else empty
  absl::string_view whole;  // all of the field, with its tag
};

class FieldReader {
 public:
  explicit FieldReader(absl::string_view message) : rest_(message) {}

  // The next field: a group as one. None at the end, and from where the bytes
  // are no message on.
  std::optional<WireField> Next();

  // False once bytes were met that are no message.
  bool ok() const { return ok_; }

 private:
  std::optional<WireField> Fail();
  bool ReadVarint(uint64_t& value);
  bool Skip(size_t size);
  bool ReadTag(WireField& field);
  bool ReadValue(WireField& field);
  bool SkipGroup(uint32_t number);

  absl::string_view rest_;
  bool ok_ = true;
};

// The string (or bytes) at `path`: the numbers of the fields that lead to it,
// of which all but the last are messages. As protobuf has it, a field that is
// given several times counts as given last, and messages given several times as
// one; empty when it is not there. INVALID_ARGUMENT when the bytes are no
// message.
absl::StatusOr<absl::string_view> FindString(absl::string_view message,
                                             absl::Span<const uint32_t> path);

}  // namespace serai::cri
