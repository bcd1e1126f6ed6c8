// SPDX-License-Identifier: Apache-2.0
#pragma once

// The loop of a single-threaded program: descriptors and timers with what to do
// about them (epoll, level-triggered). Everything of a loop is used on the one
// thread that runs it; callbacks may add and remove anything, themselves too.
//
//   ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
//   RETURN_IF_ERROR(loop->Watch(fd, EPOLLIN, [&](uint32_t) { … }));
//   return loop->Run();

#include <signal.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai {

class EventLoop {
 public:
  // Given the epoll events that came (EPOLLIN, EPOLLHUP, …).
  using FdCallback = std::function<void(uint32_t events)>;
  using TimerId = uint64_t;

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `callback` for as long as any of `events` is there. The descriptor
  // is borrowed: Unwatch() comes before its close.
  absl::Status Watch(int fd, uint32_t events, FdCallback callback);
  // Other events for a watched descriptor; 0 pauses it (errors still come).
  absl::Status Rewatch(int fd, uint32_t events);
  // Not watched is fine. The callback is not called any more, also not for
  // events that are already known.
  void Unwatch(int fd);

  // Calls `callback` once, `delay` from now.
  TimerId AddTimer(absl::Duration delay, std::function<void()> callback);
  // One that has fired or does not exist is fine.
  void CancelTimer(TimerId id);

  // Runs until Stop(). An error is epoll's own, never a callback's.
  absl::Status Run();
  // Run() returns after the callback that is running.
  void Stop() { stopped_ = true; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Watched {
    uint64_t generation;
    FdCallback callback;
  };

  explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  int MillisecondsToNextTimer() const;
  void RunTimers();

  const UniqueFd epoll_;
  bool stopped_ = false;
  // A closed descriptor's number can be another's in the same batch of events:
  // the generation tells them apart.
  uint64_t next_generation_ = 1;
  std::unordered_map<int, std::shared_ptr<Watched>> watched_;
  TimerId next_timer_ = 1;
  std::map<std::pair<Clock::time_point, TimerId>, std::function<void()>>
      timers_;
};

// Blocks `signals` for this thread and those it starts later, and gives a
// descriptor that reads as signalfd_siginfo, non-blocking, when one arrives.
absl::StatusOr<UniqueFd> OpenSignalFd(std::initializer_list<int> signals);

// The next signal's number from such a descriptor; 0 when there is none.
int NextSignal(int signal_fd);

}  // namespace serai
