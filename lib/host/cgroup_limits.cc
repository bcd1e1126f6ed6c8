// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"

namespace serai::host {
namespace {

constexpr size_t kControlFileMaxBytes = 4096;
constexpr uint64_t kMinShares = 2;
constexpr uint64_t kMaxShares = 262144;
constexpr uint64_t kDefaultPeriodUs = 100'000;

uint64_t ClampedShares(uint64_t shares) {
  return std::clamp(shares, kMinShares, kMaxShares);
}

std::string NumberOrMax(int64_t value) {
  return value < 0 ? "max" : absl::StrCat(value);
}

// One write: a file of a controller.
struct Setting {
  std::string controller;
  std::string file;
  std::string value;
};

std::vector<Setting> CpusetSettings(const CgroupLimits& limits) {
  std::vector<Setting> settings;
  if (!limits.cpuset_cpus.empty()) {
    settings.push_back({"cpuset", "cpuset.cpus", limits.cpuset_cpus});
  }
  if (!limits.cpuset_mems.empty()) {
    settings.push_back({"cpuset", "cpuset.mems", limits.cpuset_mems});
  }
  return settings;
}

std::vector<Setting> V1Settings(const CgroupLimits& limits) {
  std::vector<Setting> settings = CpusetSettings(limits);
  if (limits.memory_bytes) {
    settings.push_back(
        {"memory", "memory.limit_in_bytes",
         absl::StrCat(std::max<int64_t>(*limits.memory_bytes, -1))});
  }
  if (limits.cpu_shares) {
    settings.push_back(
        {"cpu", "cpu.shares", absl::StrCat(ClampedShares(*limits.cpu_shares))});
  }
  // With no quota in between, a new period can't break the parent's ratio.
  if (limits.cpu_quota_us && limits.cpu_period_us) {
    settings.push_back({"cpu", "cpu.cfs_quota_us", "-1"});
  }
  if (limits.cpu_period_us) {
    settings.push_back(
        {"cpu", "cpu.cfs_period_us", absl::StrCat(*limits.cpu_period_us)});
  }
  if (limits.cpu_quota_us) {
    settings.push_back(
        {"cpu", "cpu.cfs_quota_us",
         absl::StrCat(std::max<int64_t>(*limits.cpu_quota_us, -1))});
  }
  if (limits.pids_max) {
    settings.push_back({"pids", "pids.max", NumberOrMax(*limits.pids_max)});
  }
  return settings;
}

// cpu.max holds "QUOTA PERIOD": what is not to change is read from it.
std::string CpuMax(const CgroupLimits& limits, const std::string& current) {
  const std::vector<std::string> fields =
      absl::StrSplit(current, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  const std::string quota = limits.cpu_quota_us
                                ? NumberOrMax(*limits.cpu_quota_us)
                            : fields.empty() ? "max"
                                             : fields[0];
  const std::string period =
      limits.cpu_period_us ? absl::StrCat(*limits.cpu_period_us)
      : fields.size() > 1  ? fields[1]
                           : absl::StrCat(kDefaultPeriodUs);
  return absl::StrCat(quota, " ", period);
}

std::vector<Setting> V2Settings(const CgroupLimits& limits,
                                const std::string& current_cpu_max) {
  std::vector<Setting> settings = CpusetSettings(limits);
  if (limits.memory_bytes) {
    settings.push_back(
        {"memory", "memory.max", NumberOrMax(*limits.memory_bytes)});
  }
  if (limits.cpu_shares) {
    settings.push_back(
        {"cpu", "cpu.weight", absl::StrCat(CpuWeightOf(*limits.cpu_shares))});
  }
  if (limits.cpu_quota_us || limits.cpu_period_us) {
    settings.push_back({"cpu", "cpu.max", CpuMax(limits, current_cpu_max)});
  }
  if (limits.pids_max) {
    settings.push_back({"pids", "pids.max", NumberOrMax(*limits.pids_max)});
  }
  return settings;
}

// Whether the machine has the controller at all.
bool HasController(const CgroupHierarchy& hierarchy,
                   const std::string& controller) {
  const std::string root = hierarchy.RootOf(controller);
  if (!hierarchy.is_v2() || root.empty()) return !root.empty();
  const auto list =
      ReadFile(JoinPath(root, "cgroup.controllers"), kControlFileMaxBytes);
  if (!list.ok()) return false;
  const std::vector<std::string> names =
      absl::StrSplit(*list, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return std::count(names.begin(), names.end(), controller) != 0;
}

}  // namespace

uint64_t CpuWeightOf(uint64_t shares) {
  return 1 + (ClampedShares(shares) - kMinShares) * 9999 /
                 (kMaxShares - kMinShares);
}

absl::StatusOr<std::vector<std::string>> Cgroup::SetLimits(
    const CgroupLimits& limits) const {
  std::vector<Setting> settings;
  if (hierarchy_.is_v2()) {
    const auto cpu_max =
        ReadFile(JoinPath(DirOf(""), "cpu.max"), kControlFileMaxBytes);
    settings = V2Settings(limits, cpu_max.ok() ? *cpu_max : std::string());
  } else {
    settings = V1Settings(limits);
  }
  std::vector<std::string> not_applied;
  for (const Setting& setting : settings) {
    if (!HasController(hierarchy_, setting.controller)) {
      not_applied.push_back(absl::StrCat("cgroup ", path_, ": ", setting.file,
                                         " is not set to ", setting.value,
                                         ": this machine has no ",
                                         setting.controller, " controller"));
      continue;
    }
    RETURN_IF_ERROR(
        WriteControlFile(JoinPath(DirOf(setting.controller), setting.file),
                         setting.value),
        "limiting cgroup ", path_);
  }
  return not_applied;
}

}  // namespace serai::host
