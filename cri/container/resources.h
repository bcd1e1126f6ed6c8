// SPDX-License-Identifier: Apache-2.0
#pragma once

// In-place resize: a container's limits as the CRI has them, as its cgroup has
// them, and what of them can change while the guest runs. Pure functions.

#include <cstdint>

#include "cri/config/config.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "proto/cri/common.pb.h"

namespace serai::cri {

// Puts what `update` has of CPU, cpuset and memory over `resources`; 0 and ""
// leave one as it is. What else is in it does not apply to a guest.
void MergeResources(const runtime::v1::LinuxContainerResources& update,
                    runtime::v1::LinuxContainerResources& resources);

// The cgroup's limits that a running guest of `guest_memory` bytes gets. Its
// own memory is fixed: INVALID_ARGUMENT for a memory limit below it. CPU time
// that the resources do not limit is not limited.
absl::StatusOr<host::CgroupLimits> RunningLimits(
    const runtime::v1::LinuxContainerResources& resources,
    uint64_t guest_memory, const HandlerConfig& handler);

}  // namespace serai::cri
