// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the daemon counts and times of its own work, for /metrics: a counter or
// a histogram's bucket is raised by one, and nothing else is done until
// somebody asks. The process has one set of them. Any thread.

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/deadline.h"
#include "lib/base/status.h"

namespace prometheus {
struct MetricFamily;
}  // namespace prometheus

namespace serai::cri {

enum class Step {
  kCniAdd,      // the whole chain of plugins
  kCniDel,      // the same
  kShimStart,   // a pod's shim, up to its first answer
  kGuestStart,  // a tender, and its pod's shim where that had ended
};

// An answered call of the CRI. `method` must be a string literal.
void CountCall(const char* method, absl::StatusCode code, absl::Duration time);

void CountStep(Step step, bool ok, absl::Duration time);

// A guest's end, with the reason that its status gives.
void CountGuestEnd(const std::string& reason);

// Does `work`, which returns a Status or a StatusOr, and counts it as `step`.
template <typename Work>
auto Timed(Step step, Work&& work) {
  const Stopwatch watch;
  auto result = work();
  CountStep(step, result.ok(), watch.Elapsed());
  return result;
}

// All of it as it is now, a family of metrics each.
std::vector<prometheus::MetricFamily> CollectInstruments();

}  // namespace serai::cri
