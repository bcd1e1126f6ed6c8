// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/spdy_stream.h"

#include <algorithm>
#include <utility>

#include "cri/streaming/spdy/session.h"

namespace serai::cri::spdy {

void SpdyStream::Write(std::string data, Done done) {
  if (session_ == nullptr || end_wanted_) return;
  unsent_ = std::move(data);
  done_ = std::move(done);
  Pump();
}

void SpdyStream::CloseWrite() {
  if (session_ == nullptr || end_wanted_) return;
  end_wanted_ = true;
  Pump();
}

void SpdyStream::Reset() {
  if (session_ != nullptr) {
    session_->host_.Send(RstStreamFrame(id_, ResetStatus::kCancel), nullptr);
  }
  Drop();
}

void SpdyStream::Read(Got got) {
  if (session_ == nullptr && received_.empty() && !received_end_) return;
  got_ = std::move(got);
  Deliver();
}

void SpdyStream::Discard() {
  discards_ = true;
  got_ = nullptr;
  if (session_ != nullptr) session_->Consumed(*this, received_.size());
  received_.clear();
}

void SpdyStream::OnAbort(Done aborted) {
  aborted_ = session_ == nullptr ? nullptr : std::move(aborted);
}

void SpdyStream::Receive(absl::string_view data) {
  session_->unread_ += data.size();
  if (discards_) {
    session_->Consumed(*this, data.size());
    return;
  }
  received_.append(data.data(), data.size());
  Deliver();
}

void SpdyStream::ReceiveEnd() {
  received_end_ = true;
  const auto self = shared_from_this();
  RemoveIfClosed();
  Deliver();
}

void SpdyStream::Deliver() {
  if (got_ == nullptr || (received_.empty() && !received_end_)) return;
  const auto self = shared_from_this();
  const Got got = std::exchange(got_, nullptr);
  std::string data = std::exchange(received_, {});
  if (session_ != nullptr) session_->Consumed(*this, data.size());
  got(std::move(data));
}

void SpdyStream::Abort() {
  const auto self = shared_from_this();
  const Done aborted = std::exchange(aborted_, nullptr);
  Drop();
  if (aborted != nullptr) aborted();
}

void SpdyStream::Drop() {
  // Who uses it may live in the callbacks only.
  const auto self = shared_from_this();
  if (session_ != nullptr) session_->Remove(*this);
  received_.clear();
  received_end_ = false;
  unsent_.clear();
  got_ = nullptr;
  done_ = nullptr;
  aborted_ = nullptr;
}

void SpdyStream::Pump() {
  if (session_ == nullptr || end_sent_) return;
  while (!unsent_.empty()) {
    int64_t room = static_cast<int64_t>(unsent_.size());
    if (session_->stream_windows_) room = std::min(room, window_);
    if (session_->session_window_) room = std::min(room, session_->window_);
    if (room <= 0) return;
    const auto size = static_cast<size_t>(room);
    window_ -= room;
    session_->window_ -= room;
    const bool last = size == unsent_.size();
    end_sent_ = last && end_wanted_;
    std::string frame = DataFrameHeader(id_, size, end_sent_);
    frame.append(unsent_, 0, size);
    unsent_.erase(0, size);
    session_->host_.Send(std::move(frame),
                         last ? std::exchange(done_, nullptr) : nullptr);
  }
  if (end_wanted_ && !end_sent_) {
    end_sent_ = true;
    session_->host_.Send(DataFrameHeader(id_, 0, true), nullptr);
  }
  RemoveIfClosed();
}

void SpdyStream::RemoveIfClosed() {
  if (session_ != nullptr && end_sent_ && received_end_) {
    session_->Remove(*this);
  }
}

}  // namespace serai::cri::spdy
