// SPDX-License-Identifier: Apache-2.0
#pragma once

// cAdvisor's metrics of one container and one pod, read from the kernel when
// they are asked for. What the kernel does not keep is left out. Any thread.

#include "cri/stats/metric_descriptors.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "lib/host/link_counters.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

// NOT_FOUND when the cgroup is not there. `root`: a directory of the file
// system that images are on.
absl::Status AddContainerMetrics(const state::v1::ContainerRecord& record,
                                 const host::Cgroup& cgroup,
                                 const std::string& root, int64_t now_ns,
                                 MetricWriter& out);

// `tap` is the other end of the guest's interface.
void AddNetworkMetrics(const std::string& interface,
                       const host::LinkCounters& tap, MetricWriter& out);

}  // namespace serai::cri
