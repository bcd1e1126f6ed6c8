// SPDX-License-Identifier: Apache-2.0
#pragma once

// Time that only goes forward: waits measured by it are as long as they were
// meant to be, also while someone sets the machine's clock. absl::Now() is for
// what people read.

#include "absl/time/time.h"

namespace serai {

// CLOCK_MONOTONIC: the time since some beginning.
absl::Duration MonotonicNow();

// A moment on CLOCK_MONOTONIC, as long after the call as is asked for.
class Deadline {
 public:
  explicit Deadline(absl::Duration timeout);

  // What is left of it; never negative.
  absl::Duration Left() const;
  bool Passed() const { return Left() == absl::ZeroDuration(); }
  // The same as poll(2) takes it: milliseconds, rounded up so as not to spin
  // through the last one.
  int PollTimeout() const;

 private:
  absl::Duration at_;  // since the clock's beginning
};

// How long something takes, from the making of it on; never negative.
class Stopwatch {
 public:
  Stopwatch();
  absl::Duration Elapsed() const;

 private:
  absl::Duration start_;  // since the clock's beginning
};

}  // namespace serai
