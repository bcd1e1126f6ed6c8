// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/channel_connection.h"

#include <utility>

#include "cri/streaming/channel.h"
#include "cri/streaming/limits.h"
#include "spdlog/spdlog.h"

namespace serai::cri::streaming {
namespace {

// Clients send what they have read from a terminal or a socket.
constexpr size_t kMaxMessageBytes = 256 << 10;
constexpr size_t kMaxUnreadBytes = 128 << 10;

}  // namespace

ChannelConnection::ChannelConnection(std::shared_ptr<WebSocket> socket,
                                     const ChannelProtocol& protocol,
                                     std::shared_ptr<Service> service,
                                     std::vector<spdy::Headers> channels)
    : socket_(std::move(socket)),
      protocol_(protocol),
      service_(std::move(service)),
      headers_(std::move(channels)),
      timer_(socket_->executor()),
      last_active_(std::chrono::steady_clock::now()) {
  if (protocol_.base64) socket_->UseText();
}

ChannelConnection::~ChannelConnection() {
  for (const auto& channel : channels_) {
    if (channel != nullptr) channel->Abort();
  }
}

void ChannelConnection::Start(
    const std::vector<std::pair<uint8_t, std::string>>& greetings) {
  service_->Start([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Finish();
  });
  CheckIdle();
  for (const auto& [channel, text] : greetings) Send(channel, text, nullptr);
  for (size_t i = 0; i < headers_.size(); ++i) {
    channels_.push_back(
        headers_[i].empty()
            ? nullptr
            : std::make_shared<Channel>(*this, static_cast<uint8_t>(i)));
  }
  const auto channels = channels_;
  for (size_t i = 0; i < channels.size(); ++i) {
    if (channels[i] == nullptr) continue;
    service_->OnStream(channels[i], static_cast<uint32_t>(i), headers_[i]);
  }
  Read();
}

void ChannelConnection::Send(uint8_t channel, absl::string_view data,
                             Stream::Done done) {
  if (closed_ || finishing_) return;
  queue_.push_back(
      {EncodeChannelMessage(protocol_, channel, data), std::move(done)});
  Write();
}

void ChannelConnection::Read() {
  if (reading_ || closed_ || (!finishing_ && unread_ >= kMaxUnreadBytes)) {
    return;
  }
  reading_ = true;
  socket_->ReadPiece(
      boost::asio::buffer(buffer_),
      [self = shared_from_this()](boost::system::error_code error, size_t n) {
        self->reading_ = false;
        if (error) return self->Close();
        self->OnRead(n);
        self->Read();
      });
}

void ChannelConnection::OnRead(size_t size) {
  last_active_ = std::chrono::steady_clock::now();
  if (finishing_) return;
  message_.append(buffer_.data(), size);
  if (message_.size() > kMaxMessageBytes) return Close();
  if (!socket_->message_done()) return;
  if (!OnMessage(std::exchange(message_, {}))) Close();
}

bool ChannelConnection::OnMessage(absl::string_view bytes) {
  const auto message = DecodeChannelMessage(protocol_, bytes);
  if (!message.ok()) {
    spdlog::debug("streaming: WebSocket: {}",
                  std::string(message.status().message()));
    return false;
  }
  if (message->channel >= channels_.size()) return true;
  const std::shared_ptr<Channel> channel = channels_[message->channel];
  if (channel == nullptr) return true;
  if (message->end) {
    channel->ReceiveEnd();
  } else if (!message->data.empty()) {
    channel->Receive(message->data);
  }
  return true;
}

void ChannelConnection::Consumed(size_t size) {
  unread_ -= size;
  if (size > 0) Read();
}

void ChannelConnection::Write() {
  if (writing_ || closed_) return;
  if (queue_.empty()) return ShutdownIfFinished();
  writing_ = true;
  socket_->Write({boost::asio::buffer(queue_.front().bytes)},
                 [self = shared_from_this()](boost::system::error_code error) {
                   self->writing_ = false;
                   if (error) return self->Close();
                   if (self->closed_) return;
                   self->last_active_ = std::chrono::steady_clock::now();
                   const Stream::Done done = self->queue_.front().done;
                   self->queue_.pop_front();
                   self->Write();
                   if (done != nullptr && !self->closed_) done();
                 });
}

void ChannelConnection::Finish() {
  if (finishing_ || closed_) return;
  finishing_ = true;
  Write();
  Read();
}

void ChannelConnection::ShutdownIfFinished() {
  if (!finishing_ || std::exchange(shut_down_, true)) return;
  socket_->ShutdownSend();
  timer_.expires_after(kLingerTimeout);
  timer_.async_wait(
      [self = shared_from_this()](boost::system::error_code error) {
        if (!error) self->Close();
      });
}

void ChannelConnection::Close() {
  if (std::exchange(closed_, true)) return;
  const auto self = shared_from_this();
  socket_->Close();
  timer_.cancel();
  for (const auto& channel : channels_) {
    if (channel != nullptr) channel->Abort();
  }
  service_->OnClosed();
}

// What keeps the connection while nothing is read or written.
void ChannelConnection::CheckIdle() {
  const auto deadline = last_active_ + kIdleTimeout;
  if (std::chrono::steady_clock::now() >= deadline) return Close();
  timer_.expires_at(deadline);
  timer_.async_wait(
      [self = shared_from_this()](boost::system::error_code error) {
        if (!error) self->CheckIdle();
      });
}

}  // namespace serai::cri::streaming
