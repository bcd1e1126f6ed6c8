// SPDX-License-Identifier: Apache-2.0
#include "cri/container/resources.h"

#include <algorithm>

namespace serai::cri {
namespace {

using runtime::v1::LinuxContainerResources;

constexpr uint64_t kDefaultPeriod = 100'000;
constexpr int64_t kNoQuota = -1;
constexpr int64_t kMiB = 1 << 20;

}  // namespace

void MergeResources(const LinuxContainerResources& update,
                    LinuxContainerResources& resources) {
  if (update.cpu_period() != 0) resources.set_cpu_period(update.cpu_period());
  if (update.cpu_quota() != 0) resources.set_cpu_quota(update.cpu_quota());
  if (update.cpu_shares() != 0) resources.set_cpu_shares(update.cpu_shares());
  if (!update.cpuset_cpus().empty()) {
    resources.set_cpuset_cpus(update.cpuset_cpus());
  }
  if (!update.cpuset_mems().empty()) {
    resources.set_cpuset_mems(update.cpuset_mems());
  }
  if (update.memory_limit_in_bytes() != 0) {
    resources.set_memory_limit_in_bytes(update.memory_limit_in_bytes());
  }
}

absl::StatusOr<host::CgroupLimits> RunningLimits(
    const LinuxContainerResources& resources, uint64_t guest_memory,
    const HandlerConfig& handler) {
  const auto guest = static_cast<int64_t>(guest_memory);
  const int64_t limit = resources.memory_limit_in_bytes();
  if (limit > 0 && limit < guest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a unikernel can't give back memory while it runs: this one was "
        "started with ",
        guest / kMiB, "Mi, so its limit can't become ", limit,
        " bytes. Let a resize of memory restart the container (resizePolicy)"));
  }
  host::CgroupLimits out;
  // One that had no limit has the handler's default size.
  out.memory_bytes = std::max(limit, guest) + handler.overhead_memory;
  out.cpu_quota_us =
      resources.cpu_quota() != 0 ? resources.cpu_quota() : kNoQuota;
  out.cpu_period_us = resources.cpu_period() > 0
                          ? static_cast<uint64_t>(resources.cpu_period())
                          : kDefaultPeriod;
  if (resources.cpu_shares() > 0) {
    out.cpu_shares = static_cast<uint64_t>(resources.cpu_shares());
  }
  out.cpuset_cpus = resources.cpuset_cpus();
  out.cpuset_mems = resources.cpuset_mems();
  return out;
}

}  // namespace serai::cri
