// SPDX-License-Identifier: Apache-2.0
#include "lib/base/event_loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace serai {
namespace {

constexpr size_t kEventBatch = 16;

// epoll's 64 bits: the descriptor below, the generation above.
uint64_t Tag(int fd, uint64_t generation) {
  return (generation << 32) | static_cast<uint32_t>(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus(errno, "epoll_create");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll)));
}

absl::Status EventLoop::Watch(int fd, uint32_t events, FdCallback callback) {
  const uint64_t generation = next_generation_++ & 0xffffffff;
  epoll_event event = {};
  event.events = events;
  event.data.u64 = Tag(fd, generation);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus(errno, "epoll_ctl");
  }
  watched_[fd] =
      std::make_shared<Watched>(Watched{generation, std::move(callback)});
  return absl::OkStatus();
}

absl::Status EventLoop::Rewatch(int fd, uint32_t events) {
  const auto found = watched_.find(fd);
  if (found == watched_.end()) return absl::NotFoundError("not watched");
  epoll_event event = {};
  event.events = events;
  event.data.u64 = Tag(fd, found->second->generation);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return ErrnoStatus(errno, "epoll_ctl");
  }
  return absl::OkStatus();
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) != 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

EventLoop::TimerId EventLoop::AddTimer(absl::Duration delay,
                                       std::function<void()> callback) {
  const TimerId id = next_timer_++;
  const auto when = Clock::now() + absl::ToChronoNanoseconds(delay);
  timers_.emplace(std::pair(when, id), std::move(callback));
  return id;
}

void EventLoop::CancelTimer(TimerId id) {
  // A handful of timers at a time.
  const auto found = std::find_if(
      timers_.begin(), timers_.end(),
      [id](const auto& timer) { return timer.first.second == id; });
  if (found != timers_.end()) timers_.erase(found);
}

int EventLoop::MillisecondsToNextTimer() const {
  if (timers_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      timers_.begin()->first.first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

void EventLoop::RunTimers() {
  const auto now = Clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    const std::function<void()> callback = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    callback();
  }
}

absl::Status EventLoop::Run() {
  stopped_ = false;
  std::array<epoll_event, kEventBatch> events;
  while (!stopped_) {
    const int ready = ::epoll_wait(epoll_.get(), events.data(), kEventBatch,
                                   MillisecondsToNextTimer());
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "epoll_wait");
    for (int i = 0; i < ready && !stopped_; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      const int fd = static_cast<int>(event.data.u64 & 0xffffffff);
      const auto found = watched_.find(fd);
      if (found == watched_.end() ||
          found->second->generation != event.data.u64 >> 32) {
        continue;
      }
      // Kept alive while it runs: it may unwatch itself.
      const std::shared_ptr<Watched> watched = found->second;
      watched->callback(event.events);
    }
    RunTimers();
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenSignalFd(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal_number : signals) ::sigaddset(&set, signal_number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return ErrnoStatus(errno, "sigprocmask");
  }
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "signalfd");
  return fd;
}

int NextSignal(int signal_fd) {
  signalfd_siginfo info = {};
  const ssize_t n = ::read(signal_fd, &info, sizeof(info));
  return n == static_cast<ssize_t>(sizeof(info))
             ? static_cast<int>(info.ssi_signo)
             : 0;
}

}  // namespace serai
