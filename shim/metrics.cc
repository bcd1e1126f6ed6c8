// SPDX-License-Identifier: Apache-2.0
#include "shim/metrics.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lib/host/cgroup_files.h"
#include "proto/task/metrics_v1.pb.h"
#include "proto/task/metrics_v2.pb.h"

namespace serai::shim {
namespace {

using host::CgroupFiles;
namespace v1 = metrics::v1;
namespace v2 = metrics::v2;

constexpr char kV1Url[] = "io.containerd.cgroups.v1.Metrics";
constexpr char kV2Url[] = "io.containerd.cgroups.v2.Metrics";

// The member of a message that has a key's number in it.
template <typename Message>
struct Field {
  const char* key;
  void (Message::*set)(uint64_t);
};

template <typename Message, size_t kCount>
void Fill(const CgroupFiles::Table& table,
          const Field<Message> (&fields)[kCount], Message& message) {
  for (const Field<Message>& field : fields) {
    const auto found = table.find(field.key);
    if (found != table.end()) (message.*field.set)(found->second);
  }
}

constexpr Field<v1::MemoryStat> kV1Memory[] = {
    {"cache", &v1::MemoryStat::set_cache},
    {"rss", &v1::MemoryStat::set_rss},
    {"rss_huge", &v1::MemoryStat::set_rss_huge},
    {"mapped_file", &v1::MemoryStat::set_mapped_file},
    {"dirty", &v1::MemoryStat::set_dirty},
    {"writeback", &v1::MemoryStat::set_writeback},
    {"pgpgin", &v1::MemoryStat::set_pg_pg_in},
    {"pgpgout", &v1::MemoryStat::set_pg_pg_out},
    {"pgfault", &v1::MemoryStat::set_pg_fault},
    {"pgmajfault", &v1::MemoryStat::set_pg_maj_fault},
    {"inactive_anon", &v1::MemoryStat::set_inactive_anon},
    {"active_anon", &v1::MemoryStat::set_active_anon},
    {"inactive_file", &v1::MemoryStat::set_inactive_file},
    {"active_file", &v1::MemoryStat::set_active_file},
    {"unevictable", &v1::MemoryStat::set_unevictable},
    {"hierarchical_memory_limit",
     &v1::MemoryStat::set_hierarchical_memory_limit},
    {"hierarchical_memsw_limit", &v1::MemoryStat::set_hierarchical_swap_limit},
    {"total_cache", &v1::MemoryStat::set_total_cache},
    {"total_rss", &v1::MemoryStat::set_total_rss},
    {"total_rss_huge", &v1::MemoryStat::set_total_rss_huge},
    {"total_mapped_file", &v1::MemoryStat::set_total_mapped_file},
    {"total_dirty", &v1::MemoryStat::set_total_dirty},
    {"total_writeback", &v1::MemoryStat::set_total_writeback},
    {"total_pgpgin", &v1::MemoryStat::set_total_pg_pg_in},
    {"total_pgpgout", &v1::MemoryStat::set_total_pg_pg_out},
    {"total_pgfault", &v1::MemoryStat::set_total_pg_fault},
    {"total_pgmajfault", &v1::MemoryStat::set_total_pg_maj_fault},
    {"total_inactive_anon", &v1::MemoryStat::set_total_inactive_anon},
    {"total_active_anon", &v1::MemoryStat::set_total_active_anon},
    {"total_inactive_file", &v1::MemoryStat::set_total_inactive_file},
    {"total_active_file", &v1::MemoryStat::set_total_active_file},
    {"total_unevictable", &v1::MemoryStat::set_total_unevictable},
};

constexpr Field<v1::Throttle> kV1Throttle[] = {
    {"nr_periods", &v1::Throttle::set_periods},
    {"nr_throttled", &v1::Throttle::set_throttled_periods},
    {"throttled_time", &v1::Throttle::set_throttled_time},
};

constexpr Field<v1::MemoryOomControl> kV1OomControl[] = {
    {"oom_kill_disable", &v1::MemoryOomControl::set_oom_kill_disable},
    {"under_oom", &v1::MemoryOomControl::set_under_oom},
    {"oom_kill", &v1::MemoryOomControl::set_oom_kill},
};

constexpr Field<v2::CpuStat> kV2Cpu[] = {
    {"usage_usec", &v2::CpuStat::set_usage_usec},
    {"user_usec", &v2::CpuStat::set_user_usec},
    {"system_usec", &v2::CpuStat::set_system_usec},
    {"nr_periods", &v2::CpuStat::set_nr_periods},
    {"nr_throttled", &v2::CpuStat::set_nr_throttled},
    {"throttled_usec", &v2::CpuStat::set_throttled_usec},
    {"nr_bursts", &v2::CpuStat::set_nr_bursts},
    {"burst_usec", &v2::CpuStat::set_burst_usec},
};

constexpr Field<v2::MemoryStat> kV2Memory[] = {
    {"anon", &v2::MemoryStat::set_anon},
    {"file", &v2::MemoryStat::set_file},
    {"kernel_stack", &v2::MemoryStat::set_kernel_stack},
    {"slab", &v2::MemoryStat::set_slab},
    {"sock", &v2::MemoryStat::set_sock},
    {"shmem", &v2::MemoryStat::set_shmem},
    {"file_mapped", &v2::MemoryStat::set_file_mapped},
    {"file_dirty", &v2::MemoryStat::set_file_dirty},
    {"file_writeback", &v2::MemoryStat::set_file_writeback},
    {"anon_thp", &v2::MemoryStat::set_anon_thp},
    {"inactive_anon", &v2::MemoryStat::set_inactive_anon},
    {"active_anon", &v2::MemoryStat::set_active_anon},
    {"inactive_file", &v2::MemoryStat::set_inactive_file},
    {"active_file", &v2::MemoryStat::set_active_file},
    {"unevictable", &v2::MemoryStat::set_unevictable},
    {"slab_reclaimable", &v2::MemoryStat::set_slab_reclaimable},
    {"slab_unreclaimable", &v2::MemoryStat::set_slab_unreclaimable},
    {"pgfault", &v2::MemoryStat::set_pgfault},
    {"pgmajfault", &v2::MemoryStat::set_pgmajfault},
    {"workingset_refault", &v2::MemoryStat::set_workingset_refault},
    {"workingset_activate", &v2::MemoryStat::set_workingset_activate},
    {"workingset_nodereclaim", &v2::MemoryStat::set_workingset_nodereclaim},
    {"pgrefill", &v2::MemoryStat::set_pgrefill},
    {"pgscan", &v2::MemoryStat::set_pgscan},
    {"pgsteal", &v2::MemoryStat::set_pgsteal},
    {"pgactivate", &v2::MemoryStat::set_pgactivate},
    {"pgdeactivate", &v2::MemoryStat::set_pgdeactivate},
    {"pglazyfree", &v2::MemoryStat::set_pglazyfree},
    {"pglazyfreed", &v2::MemoryStat::set_pglazyfreed},
    {"thp_fault_alloc", &v2::MemoryStat::set_thp_fault_alloc},
    {"thp_collapse_alloc", &v2::MemoryStat::set_thp_collapse_alloc},
    {"workingset_refault_anon", &v2::MemoryStat::set_workingset_refault_anon},
    {"workingset_refault_file", &v2::MemoryStat::set_workingset_refault_file},
    {"workingset_activate_anon", &v2::MemoryStat::set_workingset_activate_anon},
    {"workingset_activate_file", &v2::MemoryStat::set_workingset_activate_file},
};

constexpr Field<v2::MemoryEvents> kV2Events[] = {
    {"low", &v2::MemoryEvents::set_low},
    {"high", &v2::MemoryEvents::set_high},
    {"max", &v2::MemoryEvents::set_max},
    {"oom", &v2::MemoryEvents::set_oom},
    {"oom_kill", &v2::MemoryEvents::set_oom_kill},
    {"oom_group_kill", &v2::MemoryEvents::set_oom_group_kill},
};

constexpr Field<v2::IoEntry> kV2Io[] = {
    {"rbytes", &v2::IoEntry::set_rbytes},
    {"wbytes", &v2::IoEntry::set_wbytes},
    {"rios", &v2::IoEntry::set_rios},
    {"wios", &v2::IoEntry::set_wios},
};

// "memory", "memory.memsw", …
void FillV1Entry(const CgroupFiles& files, const std::string& name,
                 v1::MemoryEntry& entry) {
  const auto number = [&](const char* what) {
    return files.Number((name + what).c_str());
  };
  entry.set_limit(number(".limit_in_bytes"));
  entry.set_usage(number(".usage_in_bytes"));
  entry.set_max(number(".max_usage_in_bytes"));
  entry.set_failcnt(number(".failcnt"));
}

void FillV1Memory(const CgroupFiles& files, v1::MemoryStat& memory) {
  Fill(files.ReadTable("memory.stat"), kV1Memory, memory);
  // The parts are there even where the kernel has no files for them: readers
  // take them for granted.
  FillV1Entry(files, "memory", *memory.mutable_usage());
  FillV1Entry(files, "memory.memsw", *memory.mutable_swap());
  FillV1Entry(files, "memory.kmem", *memory.mutable_kernel());
  FillV1Entry(files, "memory.kmem.tcp", *memory.mutable_kernel_tcp());
}

void FillV1Cpu(const CgroupFiles& cpuacct, const CgroupFiles& cpu,
               v1::CpuStat& stat) {
  v1::CpuUsage& usage = *stat.mutable_usage();
  usage.set_total(cpuacct.Number("cpuacct.usage"));
  usage.set_kernel(cpuacct.Number("cpuacct.usage_sys"));
  usage.set_user(cpuacct.Number("cpuacct.usage_user"));
  for (const auto& line : cpuacct.Lines("cpuacct.usage_percpu")) {
    for (const std::string& word : line) {
      uint64_t number = 0;
      if (absl::SimpleAtoi(word, &number)) usage.add_per_cpu(number);
    }
  }
  Fill(cpu.ReadTable("cpu.stat"), kV1Throttle, *stat.mutable_throttling());
}

v1::Metrics ReadV1(const host::Cgroup& cgroup) {
  v1::Metrics metrics;
  const CgroupFiles pids = cgroup.Files("pids");
  metrics.mutable_pids()->set_current(pids.Number("pids.current"));
  metrics.mutable_pids()->set_limit(pids.Limit("pids.max"));
  FillV1Cpu(cgroup.Files("cpuacct"), cgroup.Files("cpu"),
            *metrics.mutable_cpu());
  const CgroupFiles memory = cgroup.Files("memory");
  FillV1Memory(memory, *metrics.mutable_memory());
  Fill(memory.ReadTable("memory.oom_control"), kV1OomControl,
       *metrics.mutable_memory_oom_control());
  return metrics;
}

// "avg10=0.00" and the like.
void FillPsiData(const std::vector<std::string>& words, v2::PsiData& data) {
  for (const std::string& word : words) {
    const std::pair<std::string, std::string> part =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    double share = 0;
    uint64_t total = 0;
    if (part.first == "total") {
      if (absl::SimpleAtoi(part.second, &total)) data.set_total(total);
    } else if (absl::SimpleAtod(part.second, &share)) {
      if (part.first == "avg10") data.set_avg10(share);
      if (part.first == "avg60") data.set_avg60(share);
      if (part.first == "avg300") data.set_avg300(share);
    }
  }
}

// Leaves the member out where the kernel has no such file.
template <typename Message>
void FillPsi(const CgroupFiles& files, const char* file, Message& message) {
  for (const auto& words : files.Lines(file)) {
    if (words.front() == "some") {
      FillPsiData(words, *message.mutable_psi()->mutable_some());
    } else if (words.front() == "full") {
      FillPsiData(words, *message.mutable_psi()->mutable_full());
    }
  }
}

void FillV2Memory(const CgroupFiles& files, v2::MemoryStat& memory) {
  Fill(files.ReadTable("memory.stat"), kV2Memory, memory);
  memory.set_usage(files.Number("memory.current"));
  memory.set_usage_limit(files.Limit("memory.max"));
  memory.set_max_usage(files.Number("memory.peak"));
  memory.set_swap_usage(files.Number("memory.swap.current"));
  memory.set_swap_limit(files.Limit("memory.swap.max"));
  memory.set_swap_max_usage(files.Number("memory.swap.peak"));
  FillPsi(files, "memory.pressure", memory);
}

// "MAJOR:MINOR rbytes=… wbytes=… …"
void FillV2Io(const CgroupFiles& files, v2::IoStat& io) {
  for (const auto& words : files.Lines("io.stat")) {
    const std::pair<std::string, std::string> device =
        absl::StrSplit(words.front(), absl::MaxSplits(':', 1));
    uint64_t major = 0;
    uint64_t minor = 0;
    if (!absl::SimpleAtoi(device.first, &major) ||
        !absl::SimpleAtoi(device.second, &minor)) {
      continue;
    }
    CgroupFiles::Table table;
    for (const std::string& word : words) {
      const std::pair<std::string, std::string> part =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      uint64_t number = 0;
      if (absl::SimpleAtoi(part.second, &number)) table[part.first] = number;
    }
    v2::IoEntry& entry = *io.add_usage();
    entry.set_major(major);
    entry.set_minor(minor);
    Fill(table, kV2Io, entry);
  }
  FillPsi(files, "io.pressure", io);
}

v2::Metrics ReadV2(const CgroupFiles& files) {
  v2::Metrics metrics;
  metrics.mutable_pids()->set_current(files.Number("pids.current"));
  metrics.mutable_pids()->set_limit(files.Limit("pids.max"));
  Fill(files.ReadTable("cpu.stat"), kV2Cpu, *metrics.mutable_cpu());
  FillPsi(files, "cpu.pressure", *metrics.mutable_cpu());
  FillV2Memory(files, *metrics.mutable_memory());
  FillV2Io(files, *metrics.mutable_io());
  Fill(files.ReadTable("memory.events"), kV2Events,
       *metrics.mutable_memory_events());
  return metrics;
}

}  // namespace

absl::StatusOr<wire::Any> ReadMetrics(const host::Cgroup& cgroup) {
  wire::Any any;
  if (cgroup.is_v2()) {
    any.set_type_url(kV2Url);
    any.set_value(ReadV2(cgroup.Files("")).SerializeAsString());
  } else {
    any.set_type_url(kV1Url);
    any.set_value(ReadV1(cgroup).SerializeAsString());
  }
  // Asked afterwards: one that was removed under the reading is none either.
  if (!cgroup.Exists()) {
    return absl::NotFoundError(absl::StrCat("no cgroup ", cgroup.path()));
  }
  return any;
}

}  // namespace serai::shim
