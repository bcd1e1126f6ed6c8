// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the guests' devices have done, asked of all shims at once when somebody
// scrapes. One that does not answer in time is left out and not asked again
// until it has: it holds up nobody, and costs nothing.

#include <vector>

#include "absl/time/time.h"
#include "cri/state/store.h"
#include "prometheus/metric_family.h"

namespace serai::cri {

class DeviceCollector {
 public:
  // `store` must outlive the collector.
  explicit DeviceCollector(const Store& store) : store_(store) {}

  // Blocks for `patience` at most.
  void Collect(absl::Duration patience,
               std::vector<prometheus::MetricFamily>& out) const;

 private:
  const Store& store_;
};

}  // namespace serai::cri
