// SPDX-License-Identifier: Apache-2.0
#pragma once

// Metrics as text, in either of two formats: OpenMetrics 1.0
// (https://openmetrics.io) and Prometheus' older one, 0.0.4. Pure functions.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace prometheus {
struct MetricFamily;
}  // namespace prometheus

namespace serai::cri {

enum class Exposition { kOpenMetrics, kText };

// What a client that sends this Accept header gets: OpenMetrics where it is
// given more weight than plain text.
Exposition ChooseExposition(absl::string_view accept);

// For the Content-Type header.
absl::string_view ContentType(Exposition exposition);

// Counters' names end in "_total".
std::string Expose(const std::vector<prometheus::MetricFamily>& families,
                   Exposition exposition);

}  // namespace serai::cri
