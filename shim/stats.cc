// SPDX-License-Identifier: Apache-2.0
#include "shim/stats.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace serai::shim {
namespace {

constexpr uint64_t kNanosecondsPerMicrosecond = 1000;

}  // namespace

metrics::Metrics ToMetrics(const host::CgroupUsage& usage) {
  metrics::Metrics metrics;
  metrics.mutable_pids()->set_current(usage.pids);
  metrics::CpuStat& cpu = *metrics.mutable_cpu();
  cpu.set_usage_usec(usage.cpu_ns / kNanosecondsPerMicrosecond);
  cpu.set_user_usec(usage.cpu_user_ns / kNanosecondsPerMicrosecond);
  cpu.set_system_usec(usage.cpu_system_ns / kNanosecondsPerMicrosecond);
  metrics::MemoryStat& memory = *metrics.mutable_memory();
  memory.set_usage(usage.memory_bytes);
  memory.set_usage_limit(
      usage.memory_limit_bytes.value_or(std::numeric_limits<uint64_t>::max()));
  memory.set_anon(usage.rss_bytes);
  // What makes usage - inactive_file the working set, as readers compute it.
  memory.set_inactive_file(
      usage.memory_bytes -
      std::min(usage.memory_bytes, usage.working_set_bytes));
  if (usage.memory_bytes > usage.rss_bytes) {
    memory.set_file(usage.memory_bytes - usage.rss_bytes);
  }
  memory.set_pgfault(usage.page_faults);
  memory.set_pgmajfault(usage.major_page_faults);
  metrics.mutable_memory_events()->set_oom_kill(usage.oom_kills);
  return metrics;
}

}  // namespace serai::shim
