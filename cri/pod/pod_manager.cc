// SPDX-License-Identifier: Apache-2.0
#include "cri/pod/pod_manager.h"

#include <utility>

#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cri/cgroup/place.h"
#include "cri/container/container_manager.h"
#include "cri/layout.h"
#include "cri/log/log.h"
#include "cri/metrics/instruments.h"
#include "cri/pod/wire.h"
#include "cri/state/boot_id.h"
#include "lib/base/fault.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using runtime::v1::PodSandboxConfig;

// So many shims are started beside their plugins at a time.
constexpr int kMaxBeside = 64;
// So much is taken down at a time after a restart: plugins mostly.
constexpr int kMaxLater = 16;

absl::Status Validate(const PodSandboxConfig& config) {
  const auto& metadata = config.metadata();
  if (metadata.name().empty() || metadata.namespace_().empty() ||
      metadata.uid().empty()) {
    return absl::InvalidArgumentError(
        "the sandbox's metadata lacks a name, a namespace or a uid");
  }
  const auto& security = config.linux().security_context();
  if (security.has_run_as_group() && !security.has_run_as_user()) {
    return absl::InvalidArgumentError(
        "the sandbox has a runAsGroup without a runAsUser");
  }
  const auto& options = security.namespace_options();
  if (options.network() == runtime::v1::NODE) {
    return absl::InvalidArgumentError(
        "a unikernel can't share the node's network (hostNetwork): it has its "
        "own network stack and needs an interface of its own");
  }
  return absl::OkStatus();
}

cni::Attachment AttachmentOf(const PodRecord& record) {
  const PodSandboxConfig& config = record.config();
  cni::Attachment attachment;
  attachment.container_id = record.id();
  attachment.netns = record.netns_path();
  attachment.interface_name = record.network().interface();
  attachment.pod_name = config.metadata().name();
  attachment.pod_namespace = config.metadata().namespace_();
  attachment.pod_uid = config.metadata().uid();
  for (const auto& port : config.port_mappings()) {
    if (port.host_port() <= 0) continue;
    cni::PortMapping mapping;
    mapping.host_port = port.host_port();
    mapping.container_port = port.container_port();
    mapping.host_ip = port.host_ip();
    mapping.protocol = port.protocol() == runtime::v1::UDP    ? "udp"
                       : port.protocol() == runtime::v1::SCTP ? "sctp"
                                                              : "tcp";
    attachment.port_mappings.push_back(std::move(mapping));
  }
  const state::v1::PodNetwork& wanted = record.wanted_network();
  attachment.wanted_mac = wanted.mac();
  if (wanted.addresses_size() > 0) {
    attachment.wanted_address = wanted.addresses(0).address();
  }
  return attachment;
}

}  // namespace

PodManager::PodManager(const Config& config, const ShimOptions& shim_options,
                       const host::CgroupHierarchy& cgroups,
                       cni::Client& network, Store& store,
                       ContainerManager& containers, EventHub& events)
    : config_(config),
      shim_options_(shim_options),
      cgroups_(cgroups),
      network_(network),
      store_(store),
      containers_(containers),
      events_(events),
      beside_(kMaxBeside),
      later_(kMaxLater) {}

absl::StatusOr<PodRecord> PodManager::NewRecord(
    const PodSandboxConfig& config, const std::string& handler) const {
  RETURN_IF_ERROR(Validate(config));
  // A pod without a RuntimeClass that arrives here is meant for the one handler
  // of a unikernel-only node.
  std::string name = handler;
  if (name.empty() && config_.handlers.size() == 1) {
    name = config_.handlers.begin()->first;
  }
  RETURN_IF_ERROR(FindHandler(config_, name).status());
  ASSIGN_OR_RETURN(PodRecord record,
                   Names(NewId(), config.linux().cgroup_parent()));
  *record.mutable_config() = config;
  record.set_handler(name);
  record.set_created_at_ns(absl::GetCurrentTimeNanos());
  record.set_boot_id(BootId());
  // What can't be a cgroup's path couldn't be taken down either.
  RETURN_IF_ERROR(host::Cgroup::Open(cgroups_, record.cgroup()).status());
  return record;
}

absl::StatusOr<PodRecord> PodManager::Names(
    const std::string& id, const std::string& cgroup_parent) const {
  PodRecord record;
  record.set_version(kRecordVersion);
  record.set_id(id);
  record.set_netns_path(NetnsPath(config_, id));
  record.set_tap(host::TapName(0));
  record.mutable_network()->set_interface(kPodInterface);
  ASSIGN_OR_RETURN(*record.mutable_cgroup(),
                   CgroupPath(config_.cgroup, cgroup_parent, id));
  ASSIGN_OR_RETURN(*record.mutable_shim_address(),
                   ShimAddress(shim_options_, id));
  return record;
}

absl::StatusOr<std::string> PodManager::Run(
    const PodSandboxConfig& config, const std::string& handler,
    absl::FunctionRef<bool()> hung_up, const state::v1::PodNetwork& wanted) {
  ASSIGN_OR_RETURN(PodRecord record, NewRecord(config, handler));
  *record.mutable_wanted_network() = wanted;
  for (;;) {
    const Creations::Entry entry = creations_.Begin(record);
    Creation& creation = *entry.creation;
    if (entry.begun) {
      absl::StatusOr<std::string> id = FindMade(record);
      if (absl::IsNotFound(id.status())) id = Make(record);
      creations_.End(creation, id);
      return id;
    }
    if (!creation.undoing() && !SameRequest(creation.record(), record)) {
      return absl::AlreadyExistsError(absl::StrCat(
          "pod ", PodName(config), " is being made by another request, as ",
          creation.record().id()));
    }
    absl::StatusOr<std::string> id = creation.Await(hung_up);
    // What a dead daemon had begun is away now.
    if (!absl::IsAborted(id.status())) return id;
  }
}

// The pod that an earlier call made, whose answer did not arrive.
absl::StatusOr<std::string> PodManager::FindMade(
    const PodRecord& record) const {
  const std::string name = PodName(record.config());
  const std::string holder = store_.HolderOf(name);
  if (holder.empty()) return absl::NotFoundError(name);
  const absl::StatusOr<std::shared_ptr<Pod>> found = store_.FindPod(holder);
  if (!found.ok()) {
    // Just removed: the name goes first.
    if (store_.HolderOf(name) != holder) return absl::NotFoundError(name);
    return absl::AlreadyExistsError(absl::StrCat(
        "pod ", name, " is there as ", holder,
        ", whose record a newer seraid wrote, which alone can tell of it"));
  }
  const std::shared_ptr<const PodRecord> made = (*found)->record.Read();
  if (!IsReady(**found, *made)) {
    return absl::AlreadyExistsError(
        absl::StrCat("pod ", name, " is there as ", holder,
                     ", which is not ready and has to be removed"));
  }
  if (!SameRequest(*made, record)) {
    return absl::AlreadyExistsError(
        absl::StrCat("pod ", name, " is there as ", holder,
                     ", made with another configuration"));
  }
  return holder;
}

absl::StatusOr<std::string> PodManager::Make(const PodRecord& record) {
  NoteForLog(LogField::kPod, record.id());
  RETURN_IF_ERROR(store_.ReserveName(PodName(record.config()), record.id()));
  auto pod = std::make_shared<Pod>(store_.PodPath(record.id()), record);
  absl::MutexLock lock(&pod->operation);
  // The record comes first, with every name that Build() may use: what a crash
  // leaves is found by it.
  absl::Status status = pod->record.Save();
  if (status.ok()) status = Build(*pod);
  if (status.ok()) {
    status = pod->record.Change([](PodRecord& r) { r.set_committed(true); });
  }
  if (status.ok()) status = FaultPoint("pod.commit");
  if (!status.ok()) {
    Undo(pod);
    return status;
  }
  store_.Add(pod);
  events_.Emit(runtime::v1::CONTAINER_CREATED_EVENT, pod->id, pod->id);
  events_.Emit(runtime::v1::CONTAINER_STARTED_EVENT, pod->id, pod->id);
  return record.id();
}

absl::Status PodManager::Build(Pod& pod) {
  const PodRecord record = pod.record.Get();
  RETURN_IF_ERROR(FaultPoint("pod.record"));
  RETURN_IF_ERROR(MakeDirs(ShimDirectory(config_, record.id())));
  RETURN_IF_ERROR(FaultPoint("pod.directory"));
  RETURN_IF_ERROR(host::CreateNetns(record.netns_path()),
                  "making the network namespace");
  RETURN_IF_ERROR(FaultPoint("pod.netns"));
  // The plugins take most of a start, and wait for most of that.
  absl::Status shim;
  serai::Event started;
  beside_.Run([&] {
    shim = StartShim(pod);
    started.Notify();
  });
  const absl::Status network = Connect(pod);
  started.WaitForNotification();
  RETURN_IF_ERROR(network, "setting up the network");
  RETURN_IF_ERROR(shim, "starting the shim");
  return FaultPoint("pod.shim");
}

absl::Status PodManager::StartShim(Pod& pod) {
  // A scope of systemd's is made with its first process, which the shim is.
  const bool scope = IsScope(pod.record.Get().cgroup());
  if (scope) RETURN_IF_ERROR(containers_.PodShim(pod).status());
  RETURN_IF_ERROR(MakeCgroup(pod), "making the cgroup");
  RETURN_IF_ERROR(FaultPoint("pod.cgroup"));
  return scope ? absl::OkStatus() : containers_.PodShim(pod).status();
}

absl::Status PodManager::Connect(Pod& pod) {
  const PodRecord record = pod.record.Get();
  ASSIGN_OR_RETURN(const cni::Result result, Timed(Step::kCniAdd, [&] {
                     return network_.Add(AttachmentOf(record));
                   }));
  RETURN_IF_ERROR(FaultPoint("pod.cni"));
  ASSIGN_OR_RETURN(const UniqueFd netns, host::OpenNetns(record.netns_path()));
  ASSIGN_OR_RETURN(
      const std::vector<state::v1::PodNetwork> networks,
      WireInterfaces(netns.get(), record.network().interface(), result));
  RETURN_IF_ERROR(FaultPoint("pod.tap"));
  return pod.record.Change([&](PodRecord& r) {
    r.set_tap(networks.front().tap());
    *r.mutable_network() = networks.front();
    r.mutable_network()->clear_tap();
    *r.mutable_more_networks() = {networks.begin() + 1, networks.end()};
  });
}

absl::Status PodManager::MakeCgroup(Pod& pod) {
  const std::string path = pod.record.Read()->cgroup();
  if (IsScope(path) && cgroups_.is_v2()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(cgroups_, path));
  const std::vector<std::string> missing = cgroup.Missing();
  RETURN_IF_ERROR(pod.record.Change([&](PodRecord& r) {
    for (const std::string& each : missing) r.add_made_cgroups(each);
  }));
  RETURN_IF_ERROR(host::Cgroup::Create(cgroups_, path).status());
  return IsScope(path) ? SpreadScope(cgroup) : absl::OkStatus();
}

void PodManager::Undo(const std::shared_ptr<Pod>& pod) {
  absl::Status undone = TearDown(*pod);
  if (undone.ok()) undone = pod->record.Erase();
  if (undone.ok()) {
    store_.ReleaseNames(pod->id);
    return;
  }
  spdlog::error("pod {}: undoing its creation: {}", pod->id,
                std::string(undone.message()));
  pod->alive = false;
  store_.Add(pod);
}

absl::Status PodManager::TearDown(Pod& pod) {
  const PodRecord record = pod.record.Get();
  if (const std::shared_ptr<Shim> shim = pod.shim(); shim != nullptr) {
    // One that is gone is what is wanted; one that does not listen ends below,
    // with the cgroup.
    shim->Shutdown(record.id()).IgnoreError();
    pod.set_shim(nullptr);
  }
  RETURN_IF_ERROR(FaultPoint("teardown.shim"));
  absl::Status status = Annotate(
      Timed(Step::kCniDel,
            [&] {
              return network_.Del(record.id(), record.network().interface());
            }),
      "giving back the network");
  // The tap goes with its namespace. Plugins look for the pod's interface in
  // there, also when they are asked again.
  if (status.ok()) status = FaultPoint("teardown.network");
  if (status.ok()) status = host::RemoveNetns(record.netns_path());
  status = FirstError(status, FaultPoint("teardown.netns"));
  status = FirstError(status, DestroyCgroupAt(cgroups_, record.cgroup(),
                                              {record.made_cgroups().begin(),
                                               record.made_cgroups().end()}));
  status = FirstError(status, FaultPoint("teardown.cgroup"));
  // A killed shim leaves its socket.
  status = FirstError(status, RemovePath(std::string(absl::StripPrefix(
                                  record.shim_address(), "unix://"))));
  status = FirstError(status, RemoveTree(ShimDirectory(config_, record.id())));
  return FirstError(status, FaultPoint("teardown.directory"));
}

absl::Status PodManager::StopLocked(Pod& pod) {
  if (pod.record.Read()->stopped()) return absl::OkStatus();
  // Where the disk is full, pods are stopped all the more. What is not written
  // down is found to be gone by the next daemon, or done again.
  const auto note = [&pod](absl::FunctionRef<void(PodRecord&)> change) {
    const absl::Status written = pod.record.ChangeAlways(change);
    if (!written.ok()) {
      spdlog::warn("pod {}: its stop is in memory only: {}", pod.id,
                   std::string(written.message()));
    }
  };
  if (!pod.record.Read()->stopping()) {
    note([](PodRecord& r) { r.set_stopping(true); });
  }
  RETURN_IF_ERROR(FaultPoint("stop.record"));
  RETURN_IF_ERROR(containers_.StopAll(pod));
  RETURN_IF_ERROR(FaultPoint("stop.containers"));
  RETURN_IF_ERROR(TearDown(pod));
  note([](PodRecord& r) { r.set_stopped(true); });
  events_.Emit(runtime::v1::CONTAINER_STOPPED_EVENT, pod.id, pod.id);
  return FaultPoint("stop.stopped");
}

absl::Status PodManager::Stop(const std::string& id) {
  const absl::StatusOr<std::shared_ptr<Pod>> pod = store_.FindPod(id);
  if (absl::IsNotFound(pod.status())) return absl::OkStatus();
  RETURN_IF_ERROR(pod.status());
  absl::MutexLock lock(&(*pod)->operation);
  return StopLocked(**pod);
}

absl::Status PodManager::Remove(const std::string& id) {
  const absl::StatusOr<std::shared_ptr<Pod>> found = store_.FindPod(id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  RETURN_IF_ERROR(found.status());
  const std::shared_ptr<Pod> pod = *found;
  absl::MutexLock lock(&pod->operation);
  // Another call may have removed it while we waited.
  if (!store_.FindPod(pod->id).ok()) return absl::OkStatus();
  RETURN_IF_ERROR(StopLocked(*pod));
  RETURN_IF_ERROR(containers_.RemoveAll(*pod));
  RETURN_IF_ERROR(FaultPoint("remove.containers"));
  RETURN_IF_ERROR(pod->record.Erase());
  // While its metadata can be told with it.
  events_.Emit(runtime::v1::CONTAINER_DELETED_EVENT, pod->id, pod->id);
  RETURN_IF_ERROR(FaultPoint("remove.erased"));
  // Whose name is taken is there.
  store_.ReleaseNames(pod->id);
  store_.RemovePod(pod->id);
  return absl::OkStatus();
}

void PodManager::UndoLater(std::shared_ptr<Pod> pod) {
  // Its name is taken until then, and who wants it waits.
  const Creations::Entry entry =
      creations_.Begin(*pod->record.Read(), /*undoing=*/true);
  Later([this, pod, entry] {
    absl::MutexLock lock(&pod->operation);
    spdlog::info("pod {}: half made, is undone", pod->id);
    Undo(pod);
    if (entry.begun) {
      creations_.End(*entry.creation, absl::AbortedError("undone"));
    }
  });
}

void PodManager::DropLater(const std::string& id) {
  Later([this, id] {
    const absl::StatusOr<PodRecord> names = Names(id, "");
    absl::Status status = names.status();
    if (status.ok()) {
      Pod pod(store_.PodPath(id), *names);
      auto shim = Shim::Connect(names->shim_address());
      if (shim.ok()) pod.set_shim(*std::move(shim));
      status = TearDown(pod);
    }
    if (status.ok()) return;
    spdlog::error("pod {}: taking it down: {}", id,
                  std::string(status.message()));
  });
}

void PodManager::StopLater(std::shared_ptr<Pod> pod) {
  Later([this, pod] {
    const absl::Status stopped = Stop(pod->id);
    if (stopped.ok()) return;
    spdlog::error("pod {}: stopping it: {}", pod->id,
                  std::string(stopped.message()));
  });
}

void PodManager::RemoveContainerLater(const std::string& id) {
  Later([this, id] {
    const absl::Status removed = containers_.Remove(id);
    if (removed.ok()) return;
    spdlog::error("container {}: removing it: {}", id,
                  std::string(removed.message()));
  });
}

absl::Status PodManager::UpdateResources(
    const std::string& id, const runtime::v1::LinuxContainerResources& overhead,
    const runtime::v1::LinuxContainerResources& resources) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, store_.FindPod(id));
  absl::MutexLock lock(&pod->operation);
  RETURN_IF_ERROR(store_.FindPod(pod->id).status());
  return pod->record.Change([&](PodRecord& r) {
    *r.mutable_config()->mutable_linux()->mutable_overhead() = overhead;
    *r.mutable_config()->mutable_linux()->mutable_resources() = resources;
  });
}

}  // namespace serai::cri
