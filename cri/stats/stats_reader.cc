// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/stats_reader.h"

#include <sys/sysinfo.h>

#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "cri/state/networks.h"
#include "cri/stats/container_metrics.h"
#include "cri/stats/convert.h"
#include "lib/host/netns.h"

namespace serai::cri {

namespace v1 = runtime::v1;

namespace {

uint64_t MachineSwap() {
  struct sysinfo info = {};
  return ::sysinfo(&info) == 0 ? uint64_t{info.totalswap} * info.mem_unit : 0;
}

// `Stats`: of a container or of a pod.
template <typename Stats>
void AddPressure(const host::Cgroup& cgroup, int64_t time_ns, Stats& stats) {
  if (auto psi = ReadPsi(cgroup, "cpu")) {
    *stats.mutable_cpu()->mutable_psi() = *std::move(psi);
  }
  if (auto psi = ReadPsi(cgroup, "memory")) {
    *stats.mutable_memory()->mutable_psi() = *std::move(psi);
  }
  if (auto psi = ReadPsi(cgroup, "io")) {
    stats.mutable_io()->set_timestamp(time_ns);
    *stats.mutable_io()->mutable_psi() = *std::move(psi);
  }
}

void Add(const host::CgroupUsage& more, host::CgroupUsage& sum) {
  sum.cpu_ns += more.cpu_ns;
  sum.cpu_user_ns += more.cpu_user_ns;
  sum.cpu_system_ns += more.cpu_system_ns;
  sum.memory_bytes += more.memory_bytes;
  sum.working_set_bytes += more.working_set_bytes;
  sum.rss_bytes += more.rss_bytes;
  sum.page_faults += more.page_faults;
  sum.major_page_faults += more.major_page_faults;
  sum.oom_kills += more.oom_kills;
}

void Add(const host::TrafficCounters& more, host::TrafficCounters& sum) {
  sum.bytes += more.bytes;
  sum.packets += more.packets;
  sum.errors += more.errors;
  sum.dropped += more.dropped;
}

void Add(const host::LinkCounters& more, host::LinkCounters& sum) {
  Add(more.received, sum.received);
  Add(more.sent, sum.sent);
}

// The taps that containers have beside the pod's own at its interface.
std::set<std::string> FurtherTaps(
    const std::string& own,
    const std::vector<std::shared_ptr<Container>>& containers) {
  std::set<std::string> taps;
  for (const auto& container : containers) {
    for (const std::string& tap : TapsOf(*container->record.Read())) {
      if (tap != own && IsTapAt(tap, own)) taps.insert(tap);
    }
  }
  return taps;
}

// Of a container or of a pod.
template <typename Record, typename Attributes>
void SetAttributes(const Record& record, Attributes& out) {
  out.set_id(record.id());
  *out.mutable_metadata() = record.config().metadata();
  *out.mutable_labels() = record.config().labels();
  *out.mutable_annotations() = record.config().annotations();
}

// kubelet makes a cgroup for each pod; without one, all share the daemon's.
bool HasOwnParent(const PodRecord& record) {
  return !record.config().linux().cgroup_parent().empty();
}

absl::Status CheckReady(const Pod& pod, const PodRecord& record) {
  if (IsReady(pod, record)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "pod ", pod.id, " is not ready, and so uses nothing: it was stopped"));
}

bool Runs(const Container& container) {
  return PhaseOf(*container.record.Read()) == ContainerPhase::kRunning;
}

}  // namespace

absl::StatusOr<v1::ContainerStats> StatsReader::OfContainer(
    Container& container) const {
  const ContainerRecord record = container.record.Get();
  if (PhaseOf(record) != ContainerPhase::kRunning) {
    return absl::NotFoundError(absl::StrCat(
        "container ", record.id(), " does not run, and so uses nothing"));
  }
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(cgroups_, record.cgroup()));
  ASSIGN_OR_RETURN(const host::CgroupUsage usage, cgroup.Usage());
  const int64_t now = absl::GetCurrentTimeNanos();
  v1::ContainerStats out;
  SetAttributes(record, *out.mutable_attributes());
  const uint64_t rate =
      container.cpu_rate.Update(usage.cpu_ns, now, record.started_at_ns());
  *out.mutable_cpu() = ToCpuUsage(usage, rate, now);
  *out.mutable_memory() = ToMemoryUsage(usage, now);
  *out.mutable_swap() = ToSwapUsage(usage, MachineSwap(), now);
  AddPressure(cgroup, now, out);
  // A unikernel writes nothing to its image.
  v1::FilesystemUsage& layer = *out.mutable_writable_layer();
  layer.set_timestamp(now);
  layer.mutable_fs_id()->set_mountpoint(root_);
  layer.mutable_used_bytes()->set_value(0);
  layer.mutable_inodes_used()->set_value(0);
  return out;
}

absl::StatusOr<std::vector<StatsReader::InterfaceCounters>>
StatsReader::CountersOf(const PodRecord& record) const {
  ASSIGN_OR_RETURN(const UniqueFd netns, host::OpenNetns(record.netns_path()));
  const Containers containers = store_.ContainersOf(record.id());
  std::vector<InterfaceCounters> all;
  for (const state::v1::PodNetwork& network : NetworksOf(record)) {
    const int place = network.tap_on_node() ? -1 : netns.get();
    ASSIGN_OR_RETURN(host::LinkCounters sum,
                     host::ReadLinkCounters(place, network.tap()));
    for (const std::string& tap : FurtherTaps(network.tap(), containers)) {
      const auto more = host::ReadLinkCounters(place, tap);
      if (more.ok()) Add(*more, sum);
    }
    all.push_back({network.interface(), sum});
  }
  return all;
}

absl::StatusOr<std::vector<host::Cgroup>> StatsReader::PodGroups(
    const PodRecord& record, const Containers& containers) const {
  std::vector<host::Cgroup> groups;
  ASSIGN_OR_RETURN(host::Cgroup sandbox,
                   host::Cgroup::Open(cgroups_, record.cgroup()));
  if (HasOwnParent(record)) {
    ASSIGN_OR_RETURN(host::Cgroup parent, sandbox.Parent());
    groups.push_back(std::move(parent));
    return groups;
  }
  groups.push_back(std::move(sandbox));
  for (const auto& container : containers) {
    if (!Runs(*container)) continue;
    ASSIGN_OR_RETURN(
        host::Cgroup group,
        host::Cgroup::Open(cgroups_, container->record.Read()->cgroup()));
    groups.push_back(std::move(group));
  }
  return groups;
}

absl::Status StatsReader::AddPodUsage(Pod& pod, const PodRecord& record,
                                      const Containers& containers,
                                      v1::LinuxPodSandboxStats& out) const {
  ASSIGN_OR_RETURN(const std::vector<host::Cgroup> groups,
                   PodGroups(record, containers));
  ASSIGN_OR_RETURN(host::CgroupUsage usage, groups.front().Usage());
  ASSIGN_OR_RETURN(const std::vector<pid_t> sandbox,
                   groups.front().Processes());
  size_t processes = sandbox.size();
  for (size_t i = 1; i < groups.size(); ++i) {
    // One that ends meanwhile uses nothing.
    if (const auto more = groups[i].Usage(); more.ok()) Add(*more, usage);
    if (const auto pids = groups[i].Processes(); pids.ok()) {
      processes += pids->size();
    }
  }
  const int64_t now = absl::GetCurrentTimeNanos();
  const uint64_t rate =
      pod.cpu_rate.Update(usage.cpu_ns, now, record.created_at_ns());
  *out.mutable_cpu() = ToCpuUsage(usage, rate, now);
  *out.mutable_memory() = ToMemoryUsage(usage, now);
  if (groups.size() == 1) AddPressure(groups.front(), now, out);
  out.mutable_process()->set_timestamp(now);
  out.mutable_process()->mutable_process_count()->set_value(processes);
  return absl::OkStatus();
}

absl::StatusOr<v1::PodSandboxStats> StatsReader::OfPod(Pod& pod) const {
  const PodRecord record = pod.record.Get();
  RETURN_IF_ERROR(CheckReady(pod, record));
  const Containers containers = store_.ContainersOf(pod.id);
  v1::PodSandboxStats out;
  SetAttributes(record, *out.mutable_attributes());
  v1::LinuxPodSandboxStats& stats = *out.mutable_linux();
  RETURN_IF_ERROR(AddPodUsage(pod, record, containers, stats));
  ASSIGN_OR_RETURN(const std::vector<InterfaceCounters> counters,
                   CountersOf(record));
  v1::NetworkUsage& network = *stats.mutable_network();
  network.set_timestamp(absl::GetCurrentTimeNanos());
  for (const auto& [interface, tap] : counters) {
    v1::NetworkInterfaceUsage& usage =
        network.has_default_interface() ? *network.add_interfaces()
                                        : *network.mutable_default_interface();
    usage = ToInterfaceUsage(interface, tap);
  }
  for (const auto& container : containers) {
    absl::StatusOr<v1::ContainerStats> one = OfContainer(*container);
    if (absl::IsNotFound(one.status())) continue;
    RETURN_IF_ERROR(one.status());
    *stats.add_containers() = *std::move(one);
  }
  return out;
}

absl::StatusOr<v1::PodSandboxMetrics> StatsReader::MetricsOf(
    const Pod& pod) const {
  const PodRecord record = pod.record.Get();
  RETURN_IF_ERROR(CheckReady(pod, record));
  const auto& metadata = record.config().metadata();
  v1::PodSandboxMetrics out;
  out.set_pod_sandbox_id(record.id());
  ASSIGN_OR_RETURN(const std::vector<InterfaceCounters> counters,
                   CountersOf(record));
  // In the order of kBaseLabels.
  MetricWriter network({"", record.cgroup(), "", record.id(),
                        metadata.namespace_(), metadata.name()},
                       absl::GetCurrentTimeNanos(), out.mutable_metrics());
  for (const auto& [interface, tap] : counters) {
    AddNetworkMetrics(interface, tap, network);
  }
  for (const auto& container : store_.ContainersOf(pod.id)) {
    const ContainerRecord c = container->record.Get();
    if (PhaseOf(c) != ContainerPhase::kRunning) continue;
    ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                     host::Cgroup::Open(cgroups_, c.cgroup()));
    v1::ContainerMetrics metrics;
    metrics.set_container_id(c.id());
    const int64_t now = absl::GetCurrentTimeNanos();
    MetricWriter writer({c.config().metadata().name(), c.cgroup(),
                         c.config().image().user_specified_image(), c.id(),
                         metadata.namespace_(), metadata.name()},
                        now, metrics.mutable_metrics());
    const absl::Status added =
        AddContainerMetrics(c, cgroup, root_, now, writer);
    // One that ends meanwhile uses nothing.
    if (absl::IsNotFound(added)) continue;
    RETURN_IF_ERROR(added);
    *out.add_container_metrics() = std::move(metrics);
  }
  return out;
}

}  // namespace serai::cri
