// SPDX-License-Identifier: Apache-2.0
#include "lib/base/deadline.h"

#include <time.h>

#include <algorithm>
#include <limits>

namespace serai {

absl::Duration MonotonicNow() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

Deadline::Deadline(absl::Duration timeout) : at_(MonotonicNow() + timeout) {}

absl::Duration Deadline::Left() const {
  return std::max(at_ - MonotonicNow(), absl::ZeroDuration());
}

int Deadline::PollTimeout() const {
  return static_cast<int>(std::min<int64_t>(
      absl::ToInt64Milliseconds(absl::Ceil(Left(), absl::Milliseconds(1))),
      std::numeric_limits<int>::max()));
}

Stopwatch::Stopwatch() : start_(MonotonicNow()) {}

absl::Duration Stopwatch::Elapsed() const { return MonotonicNow() - start_; }

}  // namespace serai
