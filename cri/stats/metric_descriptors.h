// SPDX-License-Identifier: Apache-2.0
#pragma once

// The metrics of pods and containers that ListPodSandboxMetrics of the CRI
// gives, under the names and labels that cAdvisor has made usual: kubelet shows
// them at /metrics/cadvisor. Seconds are whole ones, as the CRI has no others.

#include <array>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/cri/metrics.pb.h"

namespace serai::cri {

// What every metric's labels begin with.
inline constexpr std::array<const char*, 6> kBaseLabels = {
    "container", "id", "image", "name", "namespace", "pod"};

const std::vector<runtime::v1::MetricDescriptor>& MetricDescriptors();

// Collects the metrics of one pod or container: those with the same values of
// the base labels. Names are of MetricDescriptors().
class MetricWriter {
 public:
  using Metrics = google::protobuf::RepeatedPtrField<runtime::v1::Metric>;

  // `out` must outlive the writer.
  MetricWriter(std::array<std::string, kBaseLabels.size()> base,
               int64_t time_ns, Metrics* out)
      : base_(std::move(base)), time_ns_(time_ns), out_(out) {}

  // `more`: the values of the labels after the base ones.
  void Counter(const char* name, uint64_t value,
               const std::vector<std::string>& more = {});
  void Gauge(const char* name, uint64_t value,
             const std::vector<std::string>& more = {});

 private:
  runtime::v1::Metric& Add(const char* name, uint64_t value,
                           const std::vector<std::string>& more);

  const std::array<std::string, kBaseLabels.size()> base_;
  const int64_t time_ns_;
  Metrics* const out_;
};

}  // namespace serai::cri
