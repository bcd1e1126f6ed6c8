// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/frame.h"

#include "absl/strings/str_cat.h"

namespace serai::ttrpc {
namespace {

// A buffer that grew for a big frame is given back when it is empty.
constexpr size_t kKeptCapacity = 4096;

void AppendBigEndian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

uint32_t BigEndianAt(absl::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = (value << 8) | static_cast<uint8_t>(bytes[offset + i]);
  }
  return value;
}

bool IsKnown(uint8_t type) {
  return type >= static_cast<uint8_t>(FrameType::kRequest) &&
         type <= static_cast<uint8_t>(FrameType::kData);
}

}  // namespace

absl::StatusOr<std::string> EncodeFrame(uint32_t stream, FrameType type,
                                        absl::string_view data) {
  if (data.size() > kMaxDataBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a message of ", data.size(),
                     " bytes is longer than ttrpc's limit of ", kMaxDataBytes));
  }
  std::string frame;
  frame.reserve(kHeaderBytes + data.size());
  AppendBigEndian(frame, static_cast<uint32_t>(data.size()));
  AppendBigEndian(frame, stream);
  frame.push_back(static_cast<char>(type));
  frame.push_back(0);
  frame.append(data.data(), data.size());
  return frame;
}

absl::StatusOr<bool> FrameDecoder::Next(Frame& frame) {
  const absl::string_view rest =
      absl::string_view(buffer_).substr(consumed_, buffered());
  if (rest.size() < kHeaderBytes) {
    Compact();
    return false;
  }
  const size_t length = BigEndianAt(rest, 0);
  const auto type = static_cast<uint8_t>(rest[8]);
  if (length > kMaxDataBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ttrpc frame of ", length, " bytes"));
  }
  if (!IsKnown(type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ttrpc frame of unknown type ", type));
  }
  if (rest.size() - kHeaderBytes < length) {
    Compact();
    return false;
  }
  frame.stream = BigEndianAt(rest, 4);
  frame.type = static_cast<FrameType>(type);
  frame.flags = static_cast<uint8_t>(rest[9]);
  const absl::string_view data = rest.substr(kHeaderBytes, length);
  frame.data.assign(data.data(), data.size());
  consumed_ += kHeaderBytes + length;
  return true;
}

// Moves what is left to the front: once per batch of frames, not per frame.
void FrameDecoder::Compact() {
  if (consumed_ == 0) return;
  buffer_.erase(0, consumed_);
  consumed_ = 0;
  if (buffer_.empty() && buffer_.capacity() > kKeptCapacity) {
    buffer_.shrink_to_fit();
  }
}

}  // namespace serai::ttrpc
