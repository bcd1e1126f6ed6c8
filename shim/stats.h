// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/host/cgroup.h"
#include "proto/task/metrics.pb.h"

namespace serai::shim {

// What Stats answers for a task: the usage of its cgroup, whichever version, in
// the form that containerd has for version 2. The guest's page cache is part of
// its memory; the tender's shows as `file`. No limit is the largest number.
metrics::Metrics ToMetrics(const host::CgroupUsage& usage);

}  // namespace serai::shim
