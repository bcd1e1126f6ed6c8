// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/client.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/deadline.h"
#include "lib/base/event.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/envelope.h"

namespace serai::ttrpc {
namespace {

// Queued for a server that reads nothing: thousands of calls. More than one
// frame of the greatest size may not wait.
constexpr size_t kMaxUnsentBytes = 1 << 20;

// What the reader waits for.
absl::Status Watch(int epoll, int operation, int socket, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  if (::epoll_ctl(epoll, operation, socket, &event) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, "epoll_ctl");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(
    absl::string_view address) {
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectTo(address, 0));
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus(errno, "epoll_create1");
  RETURN_IF_ERROR(Watch(epoll.get(), EPOLL_CTL_ADD, socket.get(), EPOLLIN));
  return std::unique_ptr<Client>(
      new Client(std::move(socket), std::move(epoll)));
}

Client::Client(UniqueFd socket, UniqueFd epoll)
    : socket_(std::move(socket)),
      epoll_(std::move(epoll)),
      reader_([this] { ReadAnswers(); }) {}

Client::~Client() {
  // The reader sees the end of the connection and fails what is pending.
  ::shutdown(socket_.get(), SHUT_RDWR);
  reader_.join();
}

absl::StatusOr<std::string> Client::Call(absl::string_view service,
                                         absl::string_view method,
                                         absl::string_view request,
                                         absl::Time deadline) {
  // Shared with the callback, which may come after this has given up waiting.
  struct Outcome {
    Event arrived;
    std::optional<absl::StatusOr<std::string>> value;  // before `arrived`
  };
  auto outcome = std::make_shared<Outcome>();
  Callback done = [outcome](absl::StatusOr<std::string> value) {
    outcome->value = std::move(value);
    outcome->arrived.Notify();
  };
  const absl::Duration timeout = deadline - absl::Now();
  const Deadline end(timeout);
  const uint32_t stream = Register(done);
  if (stream == 0) return absl::UnavailableError("the connection is broken");
  const absl::Status sent = Send(stream, service, method, request, timeout);
  if (!sent.ok()) {
    const absl::MutexLock lock(&mutex_);
    pending_.erase(stream);
    return sent;
  }
  if (outcome->arrived.WaitForNotificationWithTimeout(end.Left())) {
    return *std::move(outcome->value);
  }
  {
    const absl::MutexLock lock(&mutex_);
    pending_.erase(stream);
  }
  return absl::DeadlineExceededError(
      absl::StrCat(method, ": no answer in time"));
}

void Client::CallAsync(absl::string_view service, absl::string_view method,
                       absl::string_view request, Callback done) {
  const uint32_t stream = Register(done);
  if (stream == 0) {
    done(absl::UnavailableError("the connection is broken"));
    return;
  }
  const absl::Status sent =
      Send(stream, service, method, request, absl::InfiniteDuration());
  if (sent.ok()) return;
  // Whoever takes the callback out of the map calls it: here, or the reader
  // that saw the connection break.
  Callback mine;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = pending_.find(stream);
    if (found == pending_.end()) return;
    mine = std::move(found->second);
    pending_.erase(found);
  }
  mine(sent);
}

uint32_t Client::Register(Callback& done) {
  const absl::MutexLock lock(&mutex_);
  if (!connected_) return 0;
  const uint32_t stream = next_stream_;
  next_stream_ += 2;  // a client's streams are odd
  pending_.emplace(stream, std::move(done));
  return stream;
}

absl::Status Client::Send(uint32_t stream, absl::string_view service,
                          absl::string_view method, absl::string_view request,
                          absl::Duration timeout) {
  ASSIGN_OR_RETURN(
      std::string frame,
      EncodeFrame(stream, FrameType::kRequest,
                  EncodeRequest(service, method, request, timeout)));
  const absl::MutexLock lock(&send_mutex_);
  if (!unsent_.empty() && unsent_.size() + frame.size() > kMaxUnsentBytes) {
    return absl::UnavailableError(
        "the server does not read, and too many calls wait already");
  }
  if (unsent_.empty()) {
    unsent_ = std::move(frame);  // not into the room of one that was large
  } else {
    unsent_ += frame;
  }
  const absl::Status sent = Flush();
  // A part of a frame may be out: nothing sensible can follow it.
  if (!sent.ok()) ::shutdown(socket_.get(), SHUT_RDWR);
  return sent;
}

absl::Status Client::Flush() {
  while (!unsent_.empty()) {
    const ssize_t n = ::send(socket_.get(), unsent_.data(), unsent_.size(),
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      return absl::UnavailableError(
          absl::StrCat("sending to the server: ", std::strerror(errno)));
    }
    unsent_.erase(0, static_cast<size_t>(n));
  }
  const bool blocked = !unsent_.empty();
  if (std::exchange(blocked_, blocked) == blocked) return absl::OkStatus();
  return Watch(epoll_.get(), EPOLL_CTL_MOD, socket_.get(),
               blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Client::ReadAnswers() {
  FrameDecoder decoder;
  std::array<char, 16 * 1024> chunk;
  for (;;) {
    epoll_event event = {};
    if (::epoll_wait(epoll_.get(), &event, 1, -1) < 1) continue;
    if ((event.events & EPOLLOUT) != 0) {
      const absl::MutexLock lock(&send_mutex_);
      if (!Flush().ok()) ::shutdown(socket_.get(), SHUT_RDWR);
    }
    const ssize_t n =
        ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return Break(absl::UnavailableError("the connection broke"));
    decoder.Append(absl::string_view(chunk.data(), static_cast<size_t>(n)));
    if (!TakeAnswers(decoder)) return;
  }
}

bool Client::TakeAnswers(FrameDecoder& decoder) {
  Frame frame;
  for (;;) {
    const absl::StatusOr<bool> complete = decoder.Next(frame);
    if (!complete.ok()) {
      Break(absl::UnavailableError(
          absl::StrCat("the server sent ", complete.status().message())));
      return false;
    }
    if (!*complete) return true;
    Complete(std::move(frame));
  }
}

void Client::Complete(Frame frame) {
  if (frame.type != FrameType::kResponse) return;
  Callback done;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = pending_.find(frame.stream);
    if (found == pending_.end()) return;  // its caller gave up waiting
    done = std::move(found->second);
    pending_.erase(found);
  }
  done(DecodeResponse(frame.data));
}

void Client::Break(const absl::Status& why) {
  ::shutdown(socket_.get(), SHUT_RDWR);
  absl::flat_hash_map<uint32_t, Callback> pending;
  {
    const absl::MutexLock lock(&mutex_);
    connected_ = false;
    pending.swap(pending_);
  }
  for (auto& [stream, done] : pending) done(why);
}

}  // namespace serai::ttrpc
