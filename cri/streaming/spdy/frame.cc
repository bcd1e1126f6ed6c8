// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/frame.h"

#include <algorithm>
#include <utility>

#include "cri/streaming/spdy/bytes.h"

namespace serai::cri::spdy {
namespace {

constexpr size_t kHeaderBytes = 8;
constexpr uint32_t kControlBit = 0x80000000;
constexpr uint32_t kVersion = 3;
constexpr uint32_t kLengthMask = 0x00ffffff;

// Up to `size` bytes from the beginning of `bytes`, taken off it.
absl::string_view Take(absl::string_view& bytes, size_t size) {
  const absl::string_view part = bytes.substr(0, size);
  bytes.remove_prefix(part.size());
  return part;
}

std::string ControlHeader(FrameType type, uint8_t flags, size_t size) {
  std::string frame;
  Append32(frame, kControlBit | kVersion << 16 | static_cast<uint32_t>(type));
  Append32(frame,
           uint32_t{flags} << 24 | (static_cast<uint32_t>(size) & kLengthMask));
  return frame;
}

}  // namespace

// Whether header_ is complete. Then left_ is the frame's size, at first.
bool FrameDecoder::FillHeader(absl::string_view& bytes) {
  if (header_.size() == kHeaderBytes) return true;
  const absl::string_view part = Take(bytes, kHeaderBytes - header_.size());
  header_.append(part.data(), part.size());
  if (header_.size() < kHeaderBytes) return false;
  left_ = Read32(header_, 4) & kLengthMask;
  return true;
}

absl::StatusOr<FrameDecoder::Item> FrameDecoder::Next(
    absl::string_view& bytes) {
  if (!FillHeader(bytes)) return Item();
  if ((Read32(header_) & kControlBit) != 0) return NextControl(bytes);
  // A piece without bytes would say nothing, unless the frame has none.
  if (left_ > 0 && bytes.empty()) return Item();
  return NextData(bytes);
}

absl::StatusOr<FrameDecoder::Item> FrameDecoder::NextControl(
    absl::string_view& bytes) {
  const uint32_t word = Read32(header_);
  if (((word & ~kControlBit) >> 16) != kVersion) {
    return absl::InvalidArgumentError("a frame is not SPDY/3's");
  }
  if (payload_.size() + left_ > kMaxControlBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a control frame has ", payload_.size() + left_,
                     " bytes; at most ", kMaxControlBytes, " are taken"));
  }
  const absl::string_view part = Take(bytes, left_);
  payload_.append(part.data(), part.size());
  left_ -= part.size();
  if (left_ > 0) return Item();
  ControlFrame frame;
  frame.type = static_cast<uint16_t>(word & 0xffff);
  frame.flags = static_cast<uint8_t>(header_[4]);
  frame.payload = std::exchange(payload_, {});
  header_.clear();
  return Item(std::move(frame));
}

FrameDecoder::Item FrameDecoder::NextData(absl::string_view& bytes) {
  DataPiece piece;
  piece.stream = Read32(header_);
  piece.data = Take(bytes, left_);
  left_ -= piece.data.size();
  if (left_ == 0) {
    piece.fin = (static_cast<uint8_t>(header_[4]) & kFlagFin) != 0;
    header_.clear();
  }
  return piece;
}

std::string DataFrameHeader(uint32_t stream, size_t size, bool fin) {
  std::string frame;
  Append32(frame, stream);
  Append32(frame, (fin ? uint32_t{kFlagFin} << 24 : 0) |
                      (static_cast<uint32_t>(size) & kLengthMask));
  return frame;
}

std::string SynReplyFrame(uint32_t stream, absl::string_view headers) {
  std::string frame =
      ControlHeader(FrameType::kSynReply, 0, 4 + headers.size());
  Append32(frame, stream);
  frame.append(headers.data(), headers.size());
  return frame;
}

std::string RstStreamFrame(uint32_t stream, ResetStatus status) {
  std::string frame = ControlHeader(FrameType::kRstStream, 0, 8);
  Append32(frame, stream);
  Append32(frame, static_cast<uint32_t>(status));
  return frame;
}

std::string PingFrame(uint32_t id) {
  std::string frame = ControlHeader(FrameType::kPing, 0, 4);
  Append32(frame, id);
  return frame;
}

std::string GoAwayFrame(uint32_t last_good_stream, GoAwayStatus status) {
  std::string frame = ControlHeader(FrameType::kGoAway, 0, 8);
  Append32(frame, last_good_stream);
  Append32(frame, static_cast<uint32_t>(status));
  return frame;
}

std::string WindowUpdateFrame(uint32_t stream, uint32_t delta) {
  std::string frame = ControlHeader(FrameType::kWindowUpdate, 0, 8);
  Append32(frame, stream);
  Append32(frame, delta);
  return frame;
}

}  // namespace serai::cri::spdy
