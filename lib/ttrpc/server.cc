// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/ttrpc/frame.h"

namespace serai::ttrpc {
namespace {

// Whoever waits longer waits for ever.
constexpr absl::Duration kLongestPatience = absl::Hours(24 * 30);

constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

// The socket's directory is closed to others; this is the second lock.
bool MayConnect(int socket) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == 0 || peer.uid == ::geteuid());
}

}  // namespace

// One client. Lives as long as the server lists it; replies hold it weakly.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, UniqueFd socket)
      : server_(server), socket_(std::move(socket)) {}
  ~Connection() { Detach(); }

  absl::Status Attach() {
    return server_.loop_.Watch(socket_.get(), EPOLLIN,
                               [weak = weak_from_this()](uint32_t events) {
                                 if (const auto self = weak.lock())
                                   self->OnEvents(events);
                               });
  }

  void Detach() {
    server_.loop_.Unwatch(socket_.get());
    open_ = false;
  }

  // Bytes taken in and not understood yet, or to be sent.
  size_t held() const { return held_; }

  void Close() {
    if (!open_) return;
    Detach();
    server_.Account(std::exchange(held_, 0), 0);
    server_.Forget(shared_from_this());
  }

 private:
  void OnEvents(uint32_t events) {
    Work(events);
    Account();
  }

  void Work(uint32_t events) {
    // A client that is gone is noticed by sending, also while it owes us room.
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) Flush();
    // Nothing more is taken from a client before it took its answers.
    if (open_ && unsent_.empty() && Read(events)) Process();
  }

  // Last in whatever came from outside: it may close this or another.
  void Account() {
    if (!open_) return;
    const size_t now = decoder_.buffered() + unsent_.size();
    server_.Account(std::exchange(held_, now), now);
  }

  // One bounded read per turn of the loop, so that no client starves others.
  bool Read(uint32_t events) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return true;
    std::array<char, 16 * 1024> chunk;
    const ssize_t n = ::read(socket_.get(), chunk.data(), chunk.size());
    if (n > 0) {
      decoder_.Append(absl::string_view(chunk.data(), static_cast<size_t>(n)));
      return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    Close();
    return false;
  }

  // Takes calls from what was read, until an answer can't be sent at once.
  void Process() {
    Frame frame;
    while (open_ && unsent_.empty()) {
      const absl::StatusOr<bool> complete = decoder_.Next(frame);
      if (!complete.ok()) return Close();
      if (!*complete) return;
      OnFrame(std::move(frame));
    }
  }

  void OnFrame(Frame frame) {
    const uint32_t stream = frame.stream;
    if (frame.type != FrameType::kRequest || stream % 2 == 0 ||
        calls_.count(stream) != 0) {
      return Close();
    }
    calls_[stream] = 0;
    if ((frame.flags & kFlagRemoteOpen) != 0) {
      return Answer(stream, absl::UnimplementedError(
                                "calls with a stream of data are not served"));
    }
    if (calls_.size() > server_.limits_.calls) {
      return Answer(stream, absl::ResourceExhaustedError(absl::StrCat(
                                "more than ", server_.limits_.calls,
                                " calls at a time")));
    }
    absl::StatusOr<Call> call = DecodeRequest(frame.data);
    if (!call.ok()) return Answer(stream, call.status());
    LimitTime(stream, call->timeout);
    server_.handler_(
        *std::move(call),
        [weak = weak_from_this(), stream](absl::StatusOr<std::string> outcome) {
          if (const auto self = weak.lock()) {
            self->Answer(stream, outcome);
            self->Account();
          }
        });
  }

  // There is no way to take a call back: one whose caller has given up would be
  // under way until it is answered.
  void LimitTime(uint32_t stream, absl::Duration timeout) {
    if (timeout > kLongestPatience) return;
    calls_[stream] =
        server_.loop_.AddTimer(timeout, [weak = weak_from_this(), stream] {
          if (const auto self = weak.lock()) {
            self->Answer(
                stream, absl::DeadlineExceededError("the caller's time is up"));
            self->Account();
          }
        });
  }

  void Answer(uint32_t stream, const absl::StatusOr<std::string>& outcome) {
    if (!open_) return;
    const auto call = calls_.find(stream);
    if (call == calls_.end()) return;
    server_.loop_.CancelTimer(call->second);
    calls_.erase(call);
    absl::StatusOr<std::string> frame =
        EncodeFrame(stream, FrameType::kResponse, EncodeResponse(outcome));
    if (!frame.ok()) {
      frame = EncodeFrame(stream, FrameType::kResponse,
                          EncodeResponse(frame.status()));
    }
    if (unsent_.size() + frame->size() > server_.limits_.unsent_bytes) {
      return Close();
    }
    unsent_.append(*frame);
    Flush();
  }

  void Flush() {
    while (!unsent_.empty()) {
      const ssize_t n = ::send(socket_.get(), unsent_.data(), unsent_.size(),
                               MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) return Close();
      unsent_.erase(0, static_cast<size_t>(n));
    }
    const bool blocked = !unsent_.empty();
    if (blocked == blocked_) return;
    blocked_ = blocked;
    if (!server_.loop_.Rewatch(socket_.get(), blocked ? EPOLLOUT : EPOLLIN)
             .ok()) {
      return Close();
    }
    if (!blocked) ProcessLater();
  }

  // Frames that were read before the client fell behind: no event will come
  // for them. Not at once, for this may run inside Process().
  void ProcessLater() {
    server_.loop_.AddTimer(absl::ZeroDuration(), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr || !self->open_) return;
      self->Process();
      self->Account();
    });
  }

  Server& server_;
  const UniqueFd socket_;
  bool open_ = true;
  bool blocked_ = false;
  FrameDecoder decoder_;
  // Not answered yet, by stream: the timer of the caller's patience, or 0.
  std::unordered_map<uint32_t, EventLoop::TimerId> calls_;
  std::string unsent_;
  size_t held_ = 0;  // as the server has it
};

Server::Server(EventLoop& loop, Handler handler, Limits limits)
    : loop_(loop), handler_(std::move(handler)), limits_(limits) {}

Server::Server(EventLoop& loop, Handler handler)
    : Server(loop, std::move(handler), Limits()) {}

Server::~Server() {
  loop_.CancelTimer(resume_timer_);
  if (listener_.valid()) loop_.Unwatch(listener_.get());
  for (const auto& connection : connections_) connection->Detach();
}

absl::Status Server::Listen(UniqueFd socket) {
  listener_ = std::move(socket);
  return loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

absl::Status Server::Serve(UniqueFd socket) {
  auto connection = std::make_shared<Connection>(*this, std::move(socket));
  RETURN_IF_ERROR(connection->Attach());
  connections_.insert(std::move(connection));
  return absl::OkStatus();
}

void Server::Accept() {
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM) return;
    // The client stays in the queue, and the listener ready: wait a moment
    // instead of spinning.
    if (!loop_.Rewatch(listener_.get(), 0).ok()) return;
    resume_timer_ = loop_.AddTimer(kAcceptPause, [this] {
      loop_.Rewatch(listener_.get(), EPOLLIN).IgnoreError();
    });
    return;
  }
  if (connections_.size() >= limits_.connections || !MayConnect(socket.get())) {
    return;
  }
  // On failure the client sees its connection closed, which says it all.
  Serve(std::move(socket)).IgnoreError();
}

void Server::Account(size_t before, size_t now) {
  held_bytes_ = held_bytes_ - before + now;
  if (now <= before || held_bytes_ <= limits_.held_bytes) return;
  const auto most = std::max_element(
      connections_.begin(), connections_.end(),
      [](const auto& a, const auto& b) { return a->held() < b->held(); });
  if (most != connections_.end()) (*std::shared_ptr<Connection>(*most)).Close();
}

void Server::Forget(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
}

}  // namespace serai::ttrpc
