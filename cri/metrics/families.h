// SPDX-License-Identifier: Apache-2.0
#pragma once

// Short ways to make families of metrics out of what was just read. Pure
// functions.

#include <string>
#include <utility>
#include <vector>

#include "prometheus/metric_family.h"

namespace serai::cri {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

prometheus::MetricFamily GaugeFamily(std::string name, std::string help);
prometheus::MetricFamily CounterFamily(std::string name, std::string help);

// Adds a value to a family of either type.
void AddSample(prometheus::MetricFamily& family, double value,
               const MetricLabels& labels = {});

}  // namespace serai::cri
