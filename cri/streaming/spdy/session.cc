// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/session.h"

#include <utility>
#include <vector>

#include "cri/streaming/spdy/bytes.h"
#include "cri/streaming/spdy/spdy_stream.h"

namespace serai::cri::spdy {
namespace {

constexpr int64_t kMaxWindow = 0x7fffffff;
// A WINDOW_UPDATE for each half of the window that the protocol begins with.
constexpr size_t kAcknowledgeBytes = 32 << 10;

absl::Status Broken(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("SPDY: ", what));
}

uint32_t IdAt(absl::string_view payload, size_t at) {
  return Read32(payload, at) & kMaxStreamId;
}

}  // namespace

absl::Status Session::Receive(absl::string_view bytes) {
  absl::Status status = ReceiveItems(bytes);
  if (!status.ok()) {
    going_away_ = true;
    host_.Send(GoAwayFrame(last_stream_, GoAwayStatus::kProtocolError),
               nullptr);
  }
  return status;
}

absl::Status Session::ReceiveItems(absl::string_view bytes) {
  for (;;) {
    ASSIGN_OR_RETURN(const FrameDecoder::Item item, decoder_.Next(bytes));
    if (const auto* control = std::get_if<ControlFrame>(&item)) {
      RETURN_IF_ERROR(OnControl(*control));
    } else if (const auto* data = std::get_if<DataPiece>(&item)) {
      RETURN_IF_ERROR(OnData(*data));
    } else {
      return absl::OkStatus();
    }
  }
}

absl::Status Session::OnControl(const ControlFrame& frame) {
  const absl::string_view payload = frame.payload;
  switch (static_cast<FrameType>(frame.type)) {
    case FrameType::kSynStream:
      return OnSynStream(frame);
    case FrameType::kSynReply:
      return Broken("an answer to a stream that was not opened");
    case FrameType::kRstStream:
      if (payload.size() != 8) return Broken("a RST_STREAM of a wrong size");
      OnReset(IdAt(payload, 0));
      return absl::OkStatus();
    case FrameType::kSettings:
      return OnSettings(frame);
    case FrameType::kPing:
      if (payload.size() != 4) return Broken("a PING of a wrong size");
      // Even ones would be answers to ours.
      if (Read32(payload) % 2 == 1) {
        host_.Send(PingFrame(Read32(payload)), nullptr);
      }
      return absl::OkStatus();
    case FrameType::kGoAway:
      going_away_ = true;
      return absl::OkStatus();
    case FrameType::kHeaders:
      return OnHeaders(frame);
    case FrameType::kWindowUpdate:
      return OnWindowUpdate(frame);
  }
  return absl::OkStatus();  // a receiver ignores types that it does not know
}

absl::Status Session::OnSynStream(const ControlFrame& frame) {
  const absl::string_view payload = frame.payload;
  if (payload.size() < 10) return Broken("a SYN_STREAM that ends early");
  const uint32_t id = IdAt(payload, 0);
  if (id % 2 == 0 || id <= last_stream_) {
    return Broken(
        absl::StrCat("a stream with the number ", id, " after ", last_stream_));
  }
  last_stream_ = id;
  // Also of a stream that is refused: the next headers continue from these.
  ASSIGN_OR_RETURN(const Headers headers,
                   header_decoder_.Decode(payload.substr(10)));
  if (going_away_ || streams_.size() >= kMaxStreams ||
      (frame.flags & kFlagUnidirectional) != 0) {
    host_.Send(RstStreamFrame(id, ResetStatus::kRefusedStream), nullptr);
    return absl::OkStatus();
  }
  auto stream = std::make_shared<SpdyStream>(*this, id, initial_window_);
  streams_.emplace(id, stream);
  host_.Send(SynReplyFrame(id, header_encoder_.Encode({})), nullptr);
  if ((frame.flags & kFlagFin) != 0) stream->ReceiveEnd();
  host_.OnStream(std::move(stream), id, headers);
  return absl::OkStatus();
}

absl::Status Session::OnHeaders(const ControlFrame& frame) {
  const absl::string_view payload = frame.payload;
  if (payload.size() < 4) return Broken("HEADERS that end early");
  RETURN_IF_ERROR(header_decoder_.Decode(payload.substr(4)).status());
  const auto stream = Find(IdAt(payload, 0));
  if (stream != nullptr && (frame.flags & kFlagFin) != 0) stream->ReceiveEnd();
  return absl::OkStatus();
}

absl::Status Session::OnSettings(const ControlFrame& frame) {
  const absl::string_view payload = frame.payload;
  if (payload.size() < 4 || (payload.size() - 4) / 8 != Read32(payload)) {
    return Broken("SETTINGS of a wrong size");
  }
  int64_t window = initial_window_;
  for (size_t at = 4; at + 8 <= payload.size(); at += 8) {
    // The byte before the number is flags.
    if ((Read32(payload, at) & 0xffffff) != kSettingInitialWindowSize) continue;
    window = Read32(payload, at + 4);
    if (window > kMaxWindow) return Broken("a window that is too large");
    stream_windows_ = true;
  }
  if (window == initial_window_) return absl::OkStatus();
  for (const auto& [id, stream] : streams_) {
    stream->window_ += window - initial_window_;
  }
  initial_window_ = window;
  Pump();
  return absl::OkStatus();
}

absl::Status Session::OnWindowUpdate(const ControlFrame& frame) {
  const absl::string_view payload = frame.payload;
  if (payload.size() != 8) return Broken("a WINDOW_UPDATE of a wrong size");
  const uint32_t id = IdAt(payload, 0);
  const int64_t delta = Read32(payload, 4) & kMaxWindow;
  const auto stream = Find(id);
  if (id != 0 && stream == nullptr) return absl::OkStatus();
  int64_t& window = id == 0 ? window_ : stream->window_;
  (id == 0 ? session_window_ : stream_windows_) = true;
  if (delta == 0 || window + delta > kMaxWindow) {
    return Broken("a WINDOW_UPDATE that is none");
  }
  const bool opens = window <= 0;
  window += delta;
  if (stream != nullptr) {
    stream->Pump();
  } else if (opens && window > 0) {
    Pump();
  }
  return absl::OkStatus();
}

absl::Status Session::OnData(const DataPiece& piece) {
  if (piece.stream > last_stream_ || piece.stream % 2 == 0) {
    return Broken(
        absl::StrCat("data of stream ", piece.stream, ", which is not open"));
  }
  const auto stream = Find(piece.stream);
  if (stream == nullptr || stream->received_end_) {
    // It was reset, and the peer does not know yet.
    Acknowledge(piece.data.size());
    return absl::OkStatus();
  }
  if (!piece.data.empty()) stream->Receive(piece.data);
  if (piece.fin && stream->session_ != nullptr) stream->ReceiveEnd();
  return absl::OkStatus();
}

void Session::OnReset(uint32_t id) {
  const auto stream = Find(id);
  if (stream != nullptr) stream->Abort();
}

std::shared_ptr<SpdyStream> Session::Find(uint32_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

void Session::Pump() {
  std::vector<std::shared_ptr<SpdyStream>> streams;
  for (const auto& [id, stream] : streams_) streams.push_back(stream);
  for (const auto& stream : streams) stream->Pump();
}

void Session::Consumed(SpdyStream& stream, size_t size) {
  const bool waited = !wants_input();
  unread_ -= size;
  stream.unacknowledged_ += size;
  if (stream.unacknowledged_ >= kAcknowledgeBytes && !stream.received_end_) {
    const size_t taken = std::exchange(stream.unacknowledged_, 0);
    host_.Send(WindowUpdateFrame(stream.id_, static_cast<uint32_t>(taken)),
               nullptr);
  }
  Acknowledge(size);
  if (waited && wants_input()) host_.OnReadable();
}

void Session::Acknowledge(size_t size) {
  unacknowledged_ += size;
  if (unacknowledged_ < kAcknowledgeBytes) return;
  const size_t taken = std::exchange(unacknowledged_, 0);
  host_.Send(WindowUpdateFrame(0, static_cast<uint32_t>(taken)), nullptr);
}

void Session::Remove(SpdyStream& stream) {
  stream.session_ = nullptr;
  const bool waited = !wants_input();
  const size_t dropped = stream.received_.size();
  unread_ -= dropped;
  Acknowledge(dropped);
  streams_.erase(stream.id_);
  if (waited && wants_input()) host_.OnReadable();
}

void Session::GoAway() {
  if (std::exchange(going_away_, true)) return;
  host_.Send(GoAwayFrame(last_stream_, GoAwayStatus::kOk), nullptr);
}

void Session::Abort() {
  going_away_ = true;
  while (!streams_.empty()) {
    const std::shared_ptr<SpdyStream> stream = streams_.begin()->second;
    stream->Abort();
  }
}

}  // namespace serai::cri::spdy
