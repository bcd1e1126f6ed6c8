// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "proto/task/wire.pb.h"

namespace serai::shim {

// What Stats answers for a task: all that its cgroup's files say, in
// containerd's message for the node's cgroup version (proto/task/metrics_v1 and
// metrics_v2). NOT_FOUND when the cgroup is not there.
absl::StatusOr<wire::Any> ReadMetrics(const host::Cgroup& cgroup);

}  // namespace serai::shim
