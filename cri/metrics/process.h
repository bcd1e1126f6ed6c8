// SPDX-License-Identifier: Apache-2.0
#pragma once

// The daemon as a process, under the names that Prometheus' client libraries
// use, and its version. Read from /proc/self. Any thread.

#include <vector>

#include "prometheus/metric_family.h"

namespace serai::cri {

void AddProcess(std::vector<prometheus::MetricFamily>& out);

}  // namespace serai::cri
