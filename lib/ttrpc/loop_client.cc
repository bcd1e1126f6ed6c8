// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/loop_client.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/ttrpc/address.h"
#include "lib/ttrpc/envelope.h"

namespace serai::ttrpc {

absl::StatusOr<std::unique_ptr<LoopClient>> LoopClient::Connect(
    EventLoop& loop, absl::string_view address) {
  // A unix socket is connected at once or not at all.
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectTo(address, SOCK_NONBLOCK));
  const int fd = socket.get();
  std::unique_ptr<LoopClient> client(new LoopClient(loop, std::move(socket)));
  RETURN_IF_ERROR(loop.Watch(
      fd, EPOLLIN,
      [self = client.get()](uint32_t events) { self->OnEvents(events); }));
  return client;
}

LoopClient::LoopClient(EventLoop& loop, UniqueFd socket)
    : loop_(loop), socket_(std::move(socket)) {}

LoopClient::~LoopClient() {
  *alive_ = false;
  loop_.Unwatch(socket_.get());
  for (const auto& [stream, pending] : pending_) {
    loop_.CancelTimer(pending.timer);
  }
}

void LoopClient::Call(absl::string_view service, absl::string_view method,
                      absl::string_view request, absl::Duration timeout,
                      Callback done) {
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  const absl::StatusOr<std::string> frame =
      EncodeFrame(stream, FrameType::kRequest,
                  EncodeRequest(service, method, request, timeout));
  absl::Status failure = frame.status();
  if (!open_) failure = absl::UnavailableError("the connection is broken");
  if (!failure.ok()) {
    // From the loop, as every outcome: the caller may be in the middle of
    // something.
    const auto timer =
        loop_.AddTimer(absl::ZeroDuration(),
                       [this, stream, failure] { Complete(stream, failure); });
    pending_[stream] = {std::move(done), timer};
    return;
  }
  const auto timer = loop_.AddTimer(timeout, [this, stream] {
    Complete(stream, absl::DeadlineExceededError("no answer in time"));
  });
  pending_[stream] = {std::move(done), timer};
  unsent_.append(*frame);
  if (Send()) return;
  // The next turn of the loop sees the broken socket and says so.
  unsent_.clear();
}

void LoopClient::OnEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !Send()) {
    return Break(absl::UnavailableError("the connection broke"));
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  const bool more = Receive();
  const std::shared_ptr<bool> alive = alive_;
  TakeAnswers();
  if (*alive && open_ && !more) {
    Break(absl::UnavailableError("the connection broke"));
  }
}

bool LoopClient::Send() {
  while (!unsent_.empty()) {
    const ssize_t n = ::send(socket_.get(), unsent_.data(), unsent_.size(),
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return false;
    unsent_.erase(0, static_cast<size_t>(n));
  }
  const bool blocked = !unsent_.empty();
  if (blocked == sending_) return true;
  sending_ = blocked;
  const uint32_t events = blocked ? EPOLLIN | EPOLLOUT : EPOLLIN;
  return loop_.Rewatch(socket_.get(), events).ok();
}

// One bounded read per turn of the loop.
bool LoopClient::Receive() {
  std::array<char, 4096> chunk;
  const ssize_t n = ::read(socket_.get(), chunk.data(), chunk.size());
  if (n > 0) {
    decoder_.Append(absl::string_view(chunk.data(), static_cast<size_t>(n)));
    return true;
  }
  return n < 0 && (errno == EAGAIN || errno == EINTR);
}

void LoopClient::TakeAnswers() {
  const std::shared_ptr<bool> alive = alive_;
  Frame frame;
  while (*alive && open_) {
    const absl::StatusOr<bool> complete = decoder_.Next(frame);
    if (!complete.ok()) {
      return Break(absl::UnavailableError(
          absl::StrCat("the server sent ", complete.status().message())));
    }
    if (!*complete) return;
    if (frame.type == FrameType::kResponse) {
      Complete(frame.stream, DecodeResponse(frame.data));
    }
  }
}

void LoopClient::Complete(uint32_t stream,
                          absl::StatusOr<std::string> outcome) {
  const auto found = pending_.find(stream);
  if (found == pending_.end()) return;  // its caller gave up waiting
  loop_.CancelTimer(found->second.timer);
  const Callback done = std::move(found->second.done);
  pending_.erase(found);
  done(std::move(outcome));
}

void LoopClient::Break(const absl::Status& why) {
  open_ = false;
  loop_.Unwatch(socket_.get());
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && !pending_.empty()) Complete(pending_.begin()->first, why);
}

}  // namespace serai::ttrpc
