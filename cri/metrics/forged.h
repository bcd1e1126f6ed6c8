// SPDX-License-Identifier: Apache-2.0
#pragma once

// What guests have sent under another's address, and the guards of their taps
// (lib/host/tap_guard.h) have dropped. Any thread.

#include <vector>

#include "cri/state/store.h"
#include "prometheus/metric_family.h"

namespace serai::cri {

// Asks the kernel for every interface of every pod that is not stopped. One
// that is gone meanwhile is left out.
void CollectForgedFrames(const Store& store,
                         std::vector<prometheus::MetricFamily>& out);

}  // namespace serai::cri
