// SPDX-License-Identifier: Apache-2.0
#pragma once

// Processes by pidfd, or by pid and start time where an identity has to be
// written down. A bare pid is no identity: the kernel gives it to another.
// Any thread.

#include <sys/types.h>

#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::host {

class Pidfd {
 public:
  // NOT_FOUND when no such process exists. Safe against reuse only when `pid`
  // is a child of the caller's that it has not reaped; else OpenProcess().
  static absl::StatusOr<Pidfd> Open(pid_t pid);

  explicit Pidfd(UniqueFd fd) : fd_(std::move(fd)) {}

  // Polls readable when the process has ended (a zombie has ended).
  int fd() const { return fd_.get(); }

  // NOT_FOUND when the process has ended and was reaped.
  absl::Status SendSignal(int signal_number) const;

  // Waits until the process has ended: true; false when the timeout came first.
  // Does not reap.
  absl::StatusOr<bool> Wait(absl::Duration timeout) const;

 private:
  UniqueFd fd_;
};

// When the process started, in clock ticks since boot (proc(5), stat's field
// 22). With the pid it names a process until the next boot. NOT_FOUND when
// there is none.
absl::StatusOr<uint64_t> ProcessStartTime(pid_t pid);

// The process with this pid and start time; NOT_FOUND when it has ended, also
// when its pid is another's now, and also for a zombie.
absl::StatusOr<Pidfd> OpenProcess(pid_t pid, uint64_t start_time);

}  // namespace serai::host
