// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"

namespace serai::host {
namespace {

constexpr size_t kStatMaxBytes = 64 * 1024;
constexpr uint64_t kNanosecondsPerMicrosecond = 1000;
// v1 has no word for "no limit": it is the largest number of whole pages.
constexpr uint64_t kV1NoLimit = uint64_t{1} << 62;

// The files of one controller's directory. What is not there reads as nothing.
class Reader {
 public:
  explicit Reader(std::string dir) : dir_(std::move(dir)) {}

  uint64_t Number(const char* file) const {
    return MaybeNumber(file).value_or(0);
  }

  std::optional<uint64_t> MaybeNumber(const char* file) const {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(Text(file)), &number)) {
      return std::nullopt;
    }
    return number;
  }

  // A file of "key number" lines.
  std::map<std::string, uint64_t> Table(const char* file) const {
    std::map<std::string, uint64_t> table;
    const std::string text = Text(file);
    for (const absl::string_view line :
         absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> field =
          absl::StrSplit(line, absl::MaxSplits(' ', 1));
      uint64_t number = 0;
      if (absl::SimpleAtoi(field.second, &number)) table[field.first] = number;
    }
    return table;
  }

 private:
  std::string Text(const char* file) const {
    if (dir_.empty()) return "";
    absl::StatusOr<std::string> text =
        ReadFile(JoinPath(dir_, file), kStatMaxBytes);
    return text.ok() ? *std::move(text) : std::string();
  }

  std::string dir_;
};

uint64_t WorkingSet(uint64_t memory, uint64_t inactive_file) {
  return memory > inactive_file ? memory - inactive_file : 0;
}

CgroupUsage V2Usage(const Reader& files) {
  CgroupUsage usage;
  auto cpu = files.Table("cpu.stat");
  usage.cpu_ns = cpu["usage_usec"] * kNanosecondsPerMicrosecond;
  usage.cpu_user_ns = cpu["user_usec"] * kNanosecondsPerMicrosecond;
  usage.cpu_system_ns = cpu["system_usec"] * kNanosecondsPerMicrosecond;
  auto memory = files.Table("memory.stat");
  usage.memory_bytes = files.Number("memory.current");
  usage.working_set_bytes =
      WorkingSet(usage.memory_bytes, memory["inactive_file"]);
  usage.rss_bytes = memory["anon"];
  usage.page_faults = memory["pgfault"];
  usage.major_page_faults = memory["pgmajfault"];
  usage.oom_kills = files.Table("memory.events")["oom_kill"];
  usage.memory_limit_bytes = files.MaybeNumber("memory.max");
  usage.pids = files.Number("pids.current");
  return usage;
}

CgroupUsage V1Usage(const Reader& cpuacct, const Reader& memory,
                    const Reader& pids) {
  CgroupUsage usage;
  usage.cpu_ns = cpuacct.Number("cpuacct.usage");
  usage.cpu_user_ns = cpuacct.Number("cpuacct.usage_user");
  usage.cpu_system_ns = cpuacct.Number("cpuacct.usage_sys");
  // The "total_" numbers are those with the cgroups below.
  auto stat = memory.Table("memory.stat");
  usage.memory_bytes = memory.Number("memory.usage_in_bytes");
  usage.working_set_bytes =
      WorkingSet(usage.memory_bytes, stat["total_inactive_file"]);
  usage.rss_bytes = stat["total_rss"];
  usage.page_faults = stat["total_pgfault"];
  usage.major_page_faults = stat["total_pgmajfault"];
  usage.oom_kills = memory.Table("memory.oom_control")["oom_kill"];
  usage.memory_limit_bytes = memory.MaybeNumber("memory.limit_in_bytes");
  if (usage.memory_limit_bytes.value_or(0) >= kV1NoLimit) {
    usage.memory_limit_bytes.reset();
  }
  usage.pids = pids.Number("pids.current");
  return usage;
}

}  // namespace

absl::StatusOr<CgroupUsage> Cgroup::Usage() const {
  const CgroupUsage usage =
      hierarchy_.is_v2()
          ? V2Usage(Reader(DirOf("")))
          : V1Usage(Reader(DirOf("cpuacct")), Reader(DirOf("memory")),
                    Reader(DirOf("pids")));
  // Asked afterwards: one that was removed under the reading is none either.
  if (!Exists()) {
    return absl::NotFoundError(absl::StrCat("no cgroup ", path_));
  }
  return usage;
}

}  // namespace serai::host
