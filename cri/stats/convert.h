// SPDX-License-Identifier: Apache-2.0
#pragma once

// From the kernel's numbers to the CRI's messages. Pure functions but for the
// pressure files, which are read. `time_ns` is when the numbers were taken.

#include <optional>
#include <string>

#include "lib/host/cgroup.h"
#include "lib/host/link_counters.h"
#include "proto/cri/stats.pb.h"

namespace serai::cri {

runtime::v1::CpuUsage ToCpuUsage(const host::CgroupUsage& usage,
                                 uint64_t nano_cores, int64_t time_ns);
runtime::v1::MemoryUsage ToMemoryUsage(const host::CgroupUsage& usage,
                                       int64_t time_ns);

// `machine_swap_bytes`: what a group without a limit of its own can have.
runtime::v1::SwapUsage ToSwapUsage(const host::CgroupUsage& usage,
                                   uint64_t machine_swap_bytes,
                                   int64_t time_ns);

// An interface of the pod's as the guest sees it: its other end is the tap.
runtime::v1::NetworkInterfaceUsage ToInterfaceUsage(
    const std::string& interface, const host::LinkCounters& tap);

// How long a group's processes have waited for "cpu", "memory" or "io".
// Nothing where the kernel does not keep count, which it does on cgroup v2
// only.
std::optional<runtime::v1::PsiStats> ReadPsi(const host::Cgroup& cgroup,
                                             const std::string& resource);

}  // namespace serai::cri
