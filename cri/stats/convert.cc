// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/convert.h"

#include <algorithm>

#include "lib/host/pressure.h"

namespace serai::cri {

namespace v1 = runtime::v1;

namespace {

constexpr uint64_t kNanosecondsPerMicrosecond = 1000;

v1::PsiData ToPsiData(const host::Stall& stall) {
  v1::PsiData out;
  out.set_total(stall.total_us * kNanosecondsPerMicrosecond);
  out.set_avg10(stall.avg10);
  out.set_avg60(stall.avg60);
  out.set_avg300(stall.avg300);
  return out;
}

}  // namespace

v1::CpuUsage ToCpuUsage(const host::CgroupUsage& usage, uint64_t nano_cores,
                        int64_t time_ns) {
  v1::CpuUsage out;
  out.set_timestamp(time_ns);
  out.mutable_usage_core_nano_seconds()->set_value(usage.cpu_ns);
  out.mutable_usage_nano_cores()->set_value(nano_cores);
  return out;
}

v1::MemoryUsage ToMemoryUsage(const host::CgroupUsage& usage, int64_t time_ns) {
  v1::MemoryUsage out;
  out.set_timestamp(time_ns);
  out.mutable_working_set_bytes()->set_value(usage.working_set_bytes);
  out.mutable_usage_bytes()->set_value(usage.memory_bytes);
  out.mutable_rss_bytes()->set_value(usage.rss_bytes);
  out.mutable_page_faults()->set_value(usage.page_faults);
  out.mutable_major_page_faults()->set_value(usage.major_page_faults);
  if (usage.memory_limit_bytes) {
    out.mutable_available_bytes()->set_value(
        *usage.memory_limit_bytes -
        std::min(*usage.memory_limit_bytes, usage.working_set_bytes));
  }
  return out;
}

v1::SwapUsage ToSwapUsage(const host::CgroupUsage& usage,
                          uint64_t machine_swap_bytes, int64_t time_ns) {
  v1::SwapUsage out;
  out.set_timestamp(time_ns);
  const uint64_t used = usage.swap_bytes.value_or(0);
  const uint64_t limit = std::min(
      usage.swap_limit_bytes.value_or(machine_swap_bytes), machine_swap_bytes);
  out.mutable_swap_usage_bytes()->set_value(used);
  out.mutable_swap_available_bytes()->set_value(limit - std::min(limit, used));
  return out;
}

v1::NetworkInterfaceUsage ToInterfaceUsage(const std::string& interface,
                                           const host::LinkCounters& tap) {
  v1::NetworkInterfaceUsage usage;
  usage.set_name(interface);
  usage.mutable_rx_bytes()->set_value(tap.sent.bytes);
  usage.mutable_rx_errors()->set_value(tap.sent.errors);
  usage.mutable_tx_bytes()->set_value(tap.received.bytes);
  usage.mutable_tx_errors()->set_value(tap.received.errors);
  return usage;
}

std::optional<v1::PsiStats> ReadPsi(const host::Cgroup& cgroup,
                                    const std::string& resource) {
  if (!cgroup.is_v2()) return std::nullopt;
  const std::optional<host::Pressure> pressure =
      host::ReadPressure(cgroup.Files(""), (resource + ".pressure").c_str());
  if (!pressure) return std::nullopt;
  v1::PsiStats out;
  *out.mutable_some() = ToPsiData(pressure->some);
  *out.mutable_full() = ToPsiData(pressure->full);
  return out;
}

}  // namespace serai::cri
