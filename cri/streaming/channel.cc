// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/channel.h"

#include <utility>

#include "cri/streaming/channel_connection.h"

namespace serai::cri::streaming {

void Channel::Write(std::string data, Done done) {
  if (connection_ == nullptr || write_closed_) return;
  connection_->Send(number_, data, std::move(done));
}

void Channel::CloseWrite() {
  if (!std::exchange(write_closed_, true)) ReceiveEnd();
}

void Channel::Read(Got got) {
  if (connection_ == nullptr) return;
  got_ = std::move(got);
  Deliver();
}

void Channel::Discard() {
  discards_ = true;
  got_ = nullptr;
  const size_t size = received_.size();
  received_.clear();
  if (connection_ != nullptr) connection_->Consumed(size);
}

void Channel::OnAbort(Done aborted) {
  aborted_ = connection_ == nullptr ? nullptr : std::move(aborted);
}

void Channel::Receive(absl::string_view data) {
  if (discards_ || received_end_ || connection_ == nullptr) return;
  connection_->unread_ += data.size();
  received_.append(data.data(), data.size());
  Deliver();
}

void Channel::ReceiveEnd() {
  received_end_ = true;
  Deliver();
}

void Channel::Deliver() {
  if (got_ == nullptr || (received_.empty() && !received_end_)) return;
  const auto self = shared_from_this();
  const Got got = std::exchange(got_, nullptr);
  std::string data = std::exchange(received_, {});
  connection_->Consumed(data.size());
  got(std::move(data));
}

void Channel::Abort() {
  const auto self = shared_from_this();
  const Done aborted = std::exchange(aborted_, nullptr);
  Drop();
  if (aborted != nullptr) aborted();
}

void Channel::Drop() {
  // Who uses it may live in the callbacks only.
  const auto self = shared_from_this();
  Discard();
  connection_ = nullptr;
  aborted_ = nullptr;
}

}  // namespace serai::cri::streaming
