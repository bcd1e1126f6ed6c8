// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/process.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "cri/metrics/families.h"
#include "lib/base/file.h"
#include "lib/base/version.h"

namespace serai::cri {
namespace {

using prometheus::MetricFamily;

constexpr size_t kMaxStatBytes = 4096;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_usec) / 1e6;
}

// Of /proc/self/stat, numbered as in proc(5); the second, a name in
// parentheses, may have spaces in it.
std::optional<uint64_t> StatField(const std::string& stat, size_t number) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields =
      absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipEmpty());
  uint64_t value = 0;
  constexpr size_t kFirst = 3;
  if (number - kFirst >= fields.size() ||
      !absl::SimpleAtoi(fields[number - kFirst], &value)) {
    return std::nullopt;
  }
  return value;
}

void Add(std::vector<MetricFamily>& out, MetricFamily family, double value) {
  AddSample(family, value);
  out.push_back(std::move(family));
}

void AddFromStat(std::vector<MetricFamily>& out, const std::string& stat) {
  if (const auto threads = StatField(stat, 20)) {
    Add(out, GaugeFamily("process_threads", "Threads of the daemon."),
        static_cast<double>(*threads));
  }
  if (const auto size = StatField(stat, 23)) {
    Add(out,
        GaugeFamily("process_virtual_memory_bytes", "Virtual memory size."),
        static_cast<double>(*size));
  }
  if (const auto pages = StatField(stat, 24)) {
    Add(out,
        GaugeFamily("process_resident_memory_bytes", "Resident memory size."),
        static_cast<double>(*pages) *
            static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  if (const auto ticks = StatField(stat, 22)) {
    timespec now = {};
    timespec up = {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    ::clock_gettime(CLOCK_BOOTTIME, &up);
    Add(out,
        GaugeFamily("process_start_time_seconds",
                    "Start of the daemon, in seconds since the epoch."),
        static_cast<double>(now.tv_sec - up.tv_sec) +
            static_cast<double>(*ticks) /
                static_cast<double>(::sysconf(_SC_CLK_TCK)));
  }
}

}  // namespace

void AddProcess(std::vector<MetricFamily>& out) {
  MetricFamily build = GaugeFamily("serai_build_info",
                                   "Always 1, with the version of the daemon.");
  AddSample(build, 1, {{"version", kVersion}});
  out.push_back(std::move(build));

  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  Add(out,
      CounterFamily("process_cpu_seconds_total",
                    "CPU time of the daemon, user and system."),
      Seconds(usage.ru_utime) + Seconds(usage.ru_stime));
  if (const auto stat = ReadFile("/proc/self/stat", kMaxStatBytes); stat.ok()) {
    AddFromStat(out, *stat);
  }
  if (const auto fds = ListDir("/proc/self/fd"); fds.ok()) {
    Add(out, GaugeFamily("process_open_fds", "Open file descriptors."),
        static_cast<double>(fds->size()));
  }
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  Add(out, GaugeFamily("process_max_fds", "Limit of open file descriptors."),
      static_cast<double>(limit.rlim_cur));
}

}  // namespace serai::cri
