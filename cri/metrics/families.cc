// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/families.h"

namespace serai::cri {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Make(std::string name, std::string help, MetricType type) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  return family;
}

}  // namespace

MetricFamily GaugeFamily(std::string name, std::string help) {
  return Make(std::move(name), std::move(help), MetricType::Gauge);
}

MetricFamily CounterFamily(std::string name, std::string help) {
  return Make(std::move(name), std::move(help), MetricType::Counter);
}

void AddSample(MetricFamily& family, double value, const MetricLabels& labels) {
  prometheus::ClientMetric metric;
  for (const auto& [name, text] : labels) metric.label.push_back({name, text});
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

}  // namespace serai::cri
