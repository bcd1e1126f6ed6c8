// SPDX-License-Identifier: Apache-2.0
#pragma once

// All that /metrics shows, gathered when somebody asks: docs/metrics.md lists
// it. Any thread.

#include <string>

#include "cri/image/store.h"
#include "cri/metrics/exposition.h"
#include "cri/state/store.h"

namespace serai::cri {

// Blocks for a bounded time: shims are given two seconds.
std::string ScrapeMetrics(const Store& store, const ImageStore& images,
                          Exposition exposition);

}  // namespace serai::cri
