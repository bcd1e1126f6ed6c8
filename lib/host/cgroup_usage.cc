// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lib/host/cgroup.h"
#include "lib/host/cgroup_files.h"

namespace serai::host {
namespace {

constexpr uint64_t kNanosecondsPerMicrosecond = 1000;
// v1 has no word for "no limit": it is the largest number of whole pages.
constexpr uint64_t kV1NoLimit = uint64_t{1} << 62;

uint64_t WorkingSet(uint64_t memory, uint64_t inactive_file) {
  return memory > inactive_file ? memory - inactive_file : 0;
}

CgroupUsage V2Usage(const CgroupFiles& files) {
  CgroupUsage usage;
  auto cpu = files.ReadTable("cpu.stat");
  usage.cpu_ns = cpu["usage_usec"] * kNanosecondsPerMicrosecond;
  usage.cpu_user_ns = cpu["user_usec"] * kNanosecondsPerMicrosecond;
  usage.cpu_system_ns = cpu["system_usec"] * kNanosecondsPerMicrosecond;
  auto memory = files.ReadTable("memory.stat");
  usage.memory_bytes = files.Number("memory.current");
  usage.working_set_bytes =
      WorkingSet(usage.memory_bytes, memory["inactive_file"]);
  usage.rss_bytes = memory["anon"];
  usage.page_faults = memory["pgfault"];
  usage.major_page_faults = memory["pgmajfault"];
  usage.oom_kills = files.ReadTable("memory.events")["oom_kill"];
  usage.memory_limit_bytes = files.MaybeNumber("memory.max");
  usage.swap_bytes = files.MaybeNumber("memory.swap.current");
  usage.swap_limit_bytes = files.MaybeNumber("memory.swap.max");
  usage.pids = files.Number("pids.current");
  return usage;
}

// v1 counts and limits memory and swap together.
void AddV1Swap(const CgroupFiles& memory, CgroupUsage& usage) {
  const auto both = memory.MaybeNumber("memory.memsw.usage_in_bytes");
  if (!both) return;
  usage.swap_bytes =
      *both > usage.memory_bytes ? *both - usage.memory_bytes : 0;
  const auto limit = memory.MaybeNumber("memory.memsw.limit_in_bytes");
  if (limit.value_or(kV1NoLimit) >= kV1NoLimit) return;
  usage.swap_limit_bytes =
      *limit - std::min(*limit, usage.memory_limit_bytes.value_or(0));
}

CgroupUsage V1Usage(const CgroupFiles& cpuacct, const CgroupFiles& memory,
                    const CgroupFiles& pids) {
  CgroupUsage usage;
  usage.cpu_ns = cpuacct.Number("cpuacct.usage");
  usage.cpu_user_ns = cpuacct.Number("cpuacct.usage_user");
  usage.cpu_system_ns = cpuacct.Number("cpuacct.usage_sys");
  // The "total_" numbers are those with the cgroups below.
  auto stat = memory.ReadTable("memory.stat");
  usage.memory_bytes = memory.Number("memory.usage_in_bytes");
  usage.working_set_bytes =
      WorkingSet(usage.memory_bytes, stat["total_inactive_file"]);
  usage.rss_bytes = stat["total_rss"];
  usage.page_faults = stat["total_pgfault"];
  usage.major_page_faults = stat["total_pgmajfault"];
  usage.oom_kills = memory.ReadTable("memory.oom_control")["oom_kill"];
  usage.memory_limit_bytes = memory.MaybeNumber("memory.limit_in_bytes");
  if (usage.memory_limit_bytes.value_or(0) >= kV1NoLimit) {
    usage.memory_limit_bytes.reset();
  }
  AddV1Swap(memory, usage);
  usage.pids = pids.Number("pids.current");
  return usage;
}

}  // namespace

CgroupFiles Cgroup::Files(const std::string& controller) const {
  return CgroupFiles(DirOf(controller));
}

absl::StatusOr<CgroupUsage> Cgroup::Usage() const {
  const CgroupUsage usage =
      hierarchy_.is_v2()
          ? V2Usage(Files(""))
          : V1Usage(Files("cpuacct"), Files("memory"), Files("pids"));
  // Asked afterwards: one that was removed under the reading is none either.
  if (!Exists()) {
    return absl::NotFoundError(absl::StrCat("no cgroup ", path_));
  }
  return usage;
}

uint64_t Cgroup::OomKills() const {
  auto events = hierarchy_.is_v2()
                    ? Files("").ReadTable("memory.events")
                    : Files("memory").ReadTable("memory.oom_control");
  return events["oom_kill"];
}

}  // namespace serai::host
