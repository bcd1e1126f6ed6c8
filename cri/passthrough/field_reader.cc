// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/field_reader.h"

#include <limits>

namespace serai::cri {
namespace {

constexpr int kMaxVarintBytes = 10;
// What protobuf's own readers take.
constexpr size_t kMaxGroupDepth = 100;

absl::Status FindInto(absl::string_view message,
                      absl::Span<const uint32_t> path,
                      absl::string_view& found) {
  FieldReader reader(message);
  while (const std::optional<WireField> field = reader.Next()) {
    if (field->number != path[0] || field->type != WireType::kBytes) continue;
    if (path.size() == 1) {
      found = field->value;
    } else {
      RETURN_IF_ERROR(FindInto(field->value, path.subspan(1), found));
    }
  }
  if (reader.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError("the request is no protobuf message");
}

}  // namespace

bool FieldReader::ReadVarint(uint64_t& value) {
  value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    if (rest_.empty()) return false;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    // Of the tenth byte one bit is left; protobuf drops what is above it.
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool FieldReader::Skip(size_t size) {
  if (size > rest_.size()) return false;
  rest_.remove_prefix(size);
  return true;
}

bool FieldReader::ReadTag(WireField& field) {
  uint64_t tag = 0;
  if (!ReadVarint(tag) || tag > std::numeric_limits<uint32_t>::max()) {
    return false;
  }
  field.number = static_cast<uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  return field.number != 0;
}

bool FieldReader::ReadValue(WireField& field) {
  uint64_t number = 0;
  switch (field.type) {
    case WireType::kVarint:
      return ReadVarint(number);
    case WireType::kFixed64:
      return Skip(8);
    case WireType::kFixed32:
      return Skip(4);
    case WireType::kBytes:
      if (!ReadVarint(number) || number > rest_.size()) return false;
      field.value = rest_.substr(0, static_cast<size_t>(number));
      return Skip(static_cast<size_t>(number));
    case WireType::kStartGroup:
      return SkipGroup(field.number);
    case WireType::kEndGroup:
      return false;
  }
  return false;  // 6 and 7 are no types
}

// Up to the end of the group `number`, with those inside it.
bool FieldReader::SkipGroup(uint32_t number) {
  uint32_t open[kMaxGroupDepth] = {number};
  size_t depth = 1;
  while (depth > 0) {
    WireField field;
    if (!ReadTag(field)) return false;
    if (field.type == WireType::kStartGroup) {
      if (depth == kMaxGroupDepth) return false;
      open[depth++] = field.number;
    } else if (field.type == WireType::kEndGroup) {
      if (open[--depth] != field.number) return false;
    } else if (!ReadValue(field)) {
      return false;
    }
  }
  return true;
}

std::optional<WireField> FieldReader::Fail() {
  ok_ = false;
  rest_ = {};
  return std::nullopt;
}

std::optional<WireField> FieldReader::Next() {
  if (rest_.empty()) return std::nullopt;
  const absl::string_view start = rest_;
  WireField field;
  if (!ReadTag(field) || !ReadValue(field)) return Fail();
  field.whole = start.substr(0, start.size() - rest_.size());
  return field;
}

absl::StatusOr<absl::string_view> FindString(absl::string_view message,
                                             absl::Span<const uint32_t> path) {
  absl::string_view found;
  RETURN_IF_ERROR(FindInto(message, path, found));
  return found;
}

}  // namespace serai::cri
