// SPDX-License-Identifier: Apache-2.0
#include "lib/base/deadline.h"

#include <time.h>

#include <algorithm>
#include <limits>

namespace serai {
namespace {

absl::Duration Monotonic() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace

Deadline::Deadline(absl::Duration timeout) : at_(Monotonic() + timeout) {}

absl::Duration Deadline::Left() const {
  return std::max(at_ - Monotonic(), absl::ZeroDuration());
}

int Deadline::PollTimeout() const {
  return static_cast<int>(std::min<int64_t>(
      absl::ToInt64Milliseconds(absl::Ceil(Left(), absl::Milliseconds(1))),
      std::numeric_limits<int>::max()));
}

Stopwatch::Stopwatch() : start_(Monotonic()) {}

absl::Duration Stopwatch::Elapsed() const { return Monotonic() - start_; }

}  // namespace serai
