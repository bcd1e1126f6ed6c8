// SPDX-License-Identifier: Apache-2.0
#pragma once

// Pressure stall information of a cgroup: how long its processes have waited
// for a resource (Documentation/accounting/psi.rst of the kernel). cgroup v2
// only, and only where the kernel keeps it.

#include <cstdint>
#include <optional>

#include "lib/host/cgroup_files.h"

namespace serai::host {

struct Stall {
  uint64_t total_us = 0;
  double avg10 = 0;  // per cent of the last 10 seconds
  double avg60 = 0;
  double avg300 = 0;
};

struct Pressure {
  Stall some;  // some process waited
  Stall full;  // all waited; nothing where the kernel does not say
};

// `file`: "cpu.pressure", "memory.pressure" or "io.pressure". Nothing when
// there is none, or it can't be understood.
std::optional<Pressure> ReadPressure(const CgroupFiles& files,
                                     const char* file);

}  // namespace serai::host
