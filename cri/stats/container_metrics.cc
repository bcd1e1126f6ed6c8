// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/container_metrics.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/pressure.h"

namespace serai::cri {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kMicrosecondsPerSecond = 1'000'000;
// The kernel's, where a container does not say.
constexpr uint64_t kDefaultPeriod = 100'000;
constexpr uint64_t kDefaultShares = 1024;

void AddCpu(const host::Cgroup& cgroup, const host::CgroupUsage& usage,
            MetricWriter& out) {
  out.Counter("container_cpu_usage_seconds_total",
              usage.cpu_ns / kNanosecondsPerSecond);
  out.Counter("container_cpu_user_seconds_total",
              usage.cpu_user_ns / kNanosecondsPerSecond);
  out.Counter("container_cpu_system_seconds_total",
              usage.cpu_system_ns / kNanosecondsPerSecond);
  auto stat = cgroup.Files("cpu").ReadTable("cpu.stat");
  out.Counter("container_cpu_cfs_periods_total", stat["nr_periods"]);
  out.Counter("container_cpu_cfs_throttled_periods_total",
              stat["nr_throttled"]);
  out.Counter("container_cpu_cfs_throttled_seconds_total",
              cgroup.is_v2() ? stat["throttled_usec"] / kMicrosecondsPerSecond
                             : stat["throttled_time"] / kNanosecondsPerSecond);
}

// The two hierarchies' words for the same things.
struct MemoryWords {
  const char* cache;
  const char* mapped_file;
  const char* peak;         // a file
  const char* kernel_stat;  // in memory.stat; null: a file of its own
  const char* page_faults;  // of the group and those below it
  const char* major_faults;
};
constexpr MemoryWords kV1 = {
    "total_cache", "total_mapped_file", "memory.max_usage_in_bytes",
    nullptr,       "total_pgfault",     "total_pgmajfault"};
constexpr MemoryWords kV2 = {"file",   "file_mapped", "memory.peak",
                             "kernel", "pgfault",     "pgmajfault"};

void AddMemory(const host::Cgroup& cgroup, const host::CgroupUsage& usage,
               MetricWriter& out) {
  const MemoryWords& words = cgroup.is_v2() ? kV2 : kV1;
  const host::CgroupFiles files = cgroup.Files("memory");
  auto stat = files.ReadTable("memory.stat");
  out.Gauge("container_memory_usage_bytes", usage.memory_bytes);
  out.Gauge("container_memory_working_set_bytes", usage.working_set_bytes);
  out.Gauge("container_memory_rss", usage.rss_bytes);
  out.Gauge("container_memory_swap", usage.swap_bytes.value_or(0));
  out.Gauge("container_memory_cache", stat[words.cache]);
  out.Gauge("container_memory_mapped_file", stat[words.mapped_file]);
  out.Gauge("container_memory_kernel_usage",
            words.kernel_stat != nullptr
                ? stat[words.kernel_stat]
                : files.Number("memory.kmem.usage_in_bytes"));
  if (const auto peak = files.MaybeNumber(words.peak)) {
    out.Gauge("container_memory_max_usage_bytes", *peak);
  }
  out.Counter("container_memory_failcnt",
              cgroup.is_v2() ? files.ReadTable("memory.events")["max"]
                             : files.Number("memory.failcnt"));
  // A container's group has none below it: the scopes are one.
  for (const char* scope : {"container", "hierarchy"}) {
    out.Counter("container_memory_failures_total", stat[words.page_faults],
                {"pgfault", scope});
    out.Counter("container_memory_failures_total", stat[words.major_faults],
                {"pgmajfault", scope});
  }
  out.Counter("container_oom_events_total", usage.oom_kills);
}

void AddPressure(const host::Cgroup& cgroup, MetricWriter& out) {
  if (!cgroup.is_v2()) return;
  const auto add = [&](const char* file, const char* waiting,
                       const char* stalled) {
    const auto pressure = host::ReadPressure(cgroup.Files(""), file);
    if (!pressure) return;
    out.Counter(waiting, pressure->some.total_us / kMicrosecondsPerSecond);
    out.Counter(stalled, pressure->full.total_us / kMicrosecondsPerSecond);
  };
  add("cpu.pressure", "container_pressure_cpu_waiting_seconds_total",
      "container_pressure_cpu_stalled_seconds_total");
  add("memory.pressure", "container_pressure_memory_waiting_seconds_total",
      "container_pressure_memory_stalled_seconds_total");
  add("io.pressure", "container_pressure_io_waiting_seconds_total",
      "container_pressure_io_stalled_seconds_total");
}

struct DiskUse {
  uint64_t reads = 0;
  uint64_t read_bytes = 0;
  uint64_t writes = 0;
  uint64_t written_bytes = 0;
};

using DiskUses = std::map<std::string, DiskUse>;  // by "MAJOR:MINOR"

// Lines such as "8:0 rbytes=1 wbytes=2 rios=3 wios=4". On v1 containers are in
// no group of the controller that would count.
DiskUses DiskUsesOf(const host::Cgroup& cgroup) {
  if (!cgroup.is_v2()) return {};
  DiskUses uses;
  for (const std::vector<std::string>& words :
       cgroup.Files("").Lines("io.stat")) {
    DiskUse& use = uses[words.front()];
    for (const std::string& word : words) {
      const std::pair<std::string, std::string> field =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      uint64_t value = 0;
      if (!absl::SimpleAtoi(field.second, &value)) continue;
      if (field.first == "rbytes") use.read_bytes = value;
      if (field.first == "wbytes") use.written_bytes = value;
      if (field.first == "rios") use.reads = value;
      if (field.first == "wios") use.writes = value;
    }
  }
  return uses;
}

void AddDisks(const host::Cgroup& cgroup, MetricWriter& out) {
  for (const auto& [device, use] : DiskUsesOf(cgroup)) {
    const std::pair<std::string, std::string> number =
        absl::StrSplit(device, absl::MaxSplits(':', 1));
    out.Counter("container_fs_reads_total", use.reads, {device});
    out.Counter("container_fs_reads_bytes_total", use.read_bytes, {device});
    out.Counter("container_fs_writes_total", use.writes, {device});
    out.Counter("container_fs_writes_bytes_total", use.written_bytes, {device});
    out.Counter("container_blkio_device_usage_total", use.read_bytes,
                {device, number.first, number.second, "Read"});
    out.Counter("container_blkio_device_usage_total", use.written_bytes,
                {device, number.first, number.second, "Write"});
  }
}

void AddFileSystem(const std::string& root, MetricWriter& out) {
  struct stat place = {};
  struct statvfs space = {};
  if (::stat(root.c_str(), &place) != 0 ||
      ::statvfs(root.c_str(), &space) != 0) {
    return;
  }
  const std::string device =
      absl::StrCat(major(place.st_dev), ":", minor(place.st_dev));
  out.Gauge("container_fs_inodes_free", space.f_ffree, {device});
  out.Gauge("container_fs_inodes_total", space.f_files, {device});
  out.Gauge("container_fs_limit_bytes", space.f_blocks * space.f_frsize,
            {device});
  out.Gauge("container_fs_usage_bytes", 0, {device});
}

// The soft limit of a process's descriptors. prlimit(2) of another user's
// process wants CAP_SYS_RESOURCE.
std::optional<uint64_t> OpenFilesLimit(pid_t pid) {
  const std::string limits =
      ReadFile(absl::StrCat("/proc/", pid, "/limits"), 1 << 16).value_or("");
  for (const absl::string_view line : absl::StrSplit(limits, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t value = 0;
    if (absl::StartsWith(line, "Max open files") && words.size() > 3 &&
        absl::SimpleAtoi(words[3], &value)) {
      return value;
    }
  }
  return std::nullopt;
}

void AddProcesses(const host::Cgroup& cgroup, const host::CgroupUsage& usage,
                  MetricWriter& out) {
  const std::vector<pid_t> pids =
      cgroup.Processes().value_or(std::vector<pid_t>());
  uint64_t descriptors = 0;
  uint64_t sockets = 0;
  for (const pid_t pid : pids) {
    const std::string directory = absl::StrCat("/proc/", pid, "/fd");
    // One that ends meanwhile has none.
    const auto names = ListDir(directory);
    if (!names.ok()) continue;
    descriptors += names->size();
    for (const std::string& name : *names) {
      char target[PATH_MAX];
      const ssize_t n =
          ::readlink(JoinPath(directory, name).c_str(), target, sizeof(target));
      if (n > 0 &&
          absl::StartsWith(absl::string_view(target, static_cast<size_t>(n)),
                           "socket:")) {
        ++sockets;
      }
    }
  }
  out.Gauge("container_processes", pids.size());
  out.Gauge("container_file_descriptors", descriptors);
  out.Gauge("container_sockets", sockets);
  out.Gauge("container_threads", usage.pids);
  out.Gauge("container_threads_max",
            cgroup.Files("pids").MaybeNumber("pids.max").value_or(0));
  const auto open_files = pids.empty() ? std::nullopt : OpenFilesLimit(pids[0]);
  if (open_files) {
    out.Gauge("container_ulimits_soft", *open_files, {"max_open_files"});
  }
}

void AddSpec(const state::v1::ContainerRecord& record,
             const host::CgroupUsage& usage, MetricWriter& out) {
  const auto& resources = record.config().linux().resources();
  const auto or_default = [](int64_t value, uint64_t otherwise) {
    return value > 0 ? static_cast<uint64_t>(value) : otherwise;
  };
  out.Gauge("container_spec_cpu_period",
            or_default(resources.cpu_period(), kDefaultPeriod));
  if (resources.cpu_quota() > 0) {
    out.Gauge("container_spec_cpu_quota",
              static_cast<uint64_t>(resources.cpu_quota()));
  }
  out.Gauge("container_spec_cpu_shares",
            or_default(resources.cpu_shares(), kDefaultShares));
  out.Gauge("container_spec_memory_limit_bytes",
            usage.memory_limit_bytes.value_or(0));
  out.Gauge("container_spec_memory_reservation_limit_bytes", 0);
  out.Gauge("container_spec_memory_swap_limit_bytes",
            usage.swap_limit_bytes.value_or(0));
}

}  // namespace

absl::Status AddContainerMetrics(const state::v1::ContainerRecord& record,
                                 const host::Cgroup& cgroup,
                                 const std::string& root, int64_t now_ns,
                                 MetricWriter& out) {
  ASSIGN_OR_RETURN(const host::CgroupUsage usage, cgroup.Usage());
  out.Gauge("container_last_seen",
            static_cast<uint64_t>(now_ns) / kNanosecondsPerSecond);
  out.Gauge(
      "container_start_time_seconds",
      static_cast<uint64_t>(record.started_at_ns()) / kNanosecondsPerSecond);
  AddCpu(cgroup, usage, out);
  AddMemory(cgroup, usage, out);
  AddPressure(cgroup, out);
  AddDisks(cgroup, out);
  AddFileSystem(root, out);
  AddProcesses(cgroup, usage, out);
  AddSpec(record, usage, out);
  return absl::OkStatus();
}

void AddNetworkMetrics(const std::string& interface,
                       const host::LinkCounters& tap, MetricWriter& out) {
  out.Counter("container_network_receive_bytes_total", tap.sent.bytes,
              {interface});
  out.Counter("container_network_receive_errors_total", tap.sent.errors,
              {interface});
  out.Counter("container_network_receive_packets_dropped_total",
              tap.sent.dropped, {interface});
  out.Counter("container_network_receive_packets_total", tap.sent.packets,
              {interface});
  out.Counter("container_network_transmit_bytes_total", tap.received.bytes,
              {interface});
  out.Counter("container_network_transmit_errors_total", tap.received.errors,
              {interface});
  out.Counter("container_network_transmit_packets_dropped_total",
              tap.received.dropped, {interface});
  out.Counter("container_network_transmit_packets_total", tap.received.packets,
              {interface});
}

}  // namespace serai::cri
