// SPDX-License-Identifier: Apache-2.0
#include "cri/container/container_manager.h"

#include <google/protobuf/util/message_differencer.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "cri/bundle/bundle.h"
#include "cri/cgroup/place.h"
#include "cri/checkpoint/use.h"
#include "cri/container/image_volume.h"
#include "cri/container/sharing.h"
#include "cri/layout.h"
#include "cri/log/log.h"
#include "cri/metrics/instruments.h"
#include "lib/base/deadline.h"
#include "lib/base/fault.h"
#include "lib/base/file.h"
#include "lib/guest/node_targets.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using runtime::v1::ContainerConfig;

// How long a tender may take to be gone after SIGKILL, and its end to be
// written down.
constexpr absl::Duration kKillTimeout = absl::Seconds(10);
// How often a caller that waits is looked after.
constexpr absl::Duration kHangUpPoll = absl::Milliseconds(200);
// The exit code of a container that could not be started, as containerd and
// CRI-O give it.
constexpr int kExitStartError = 128;
constexpr char kStartError[] = "StartError";

// A file name for people, kept with the record.
std::string LogPath(const PodRecord& pod, const ContainerConfig& config) {
  if (pod.config().log_directory().empty() || config.log_path().empty()) {
    return "";
  }
  return JoinPath(pod.config().log_directory(), config.log_path());
}

absl::Status RemoveFiles(const Config& config, const ContainerRecord& record) {
  return FirstError(RemoveBundle(record.bundle()),
                    RemoveTree(VolumesOf(config, record.id())));
}

}  // namespace

ContainerManager::ContainerManager(const Config& config,
                                   const ShimOptions& shim_options,
                                   const host::CgroupHierarchy& cgroups,
                                   ImageSource& images, OptionsCache& options,
                                   Store& store, ExitWatcher& watcher,
                                   EventHub& events)
    : config_(config),
      shim_options_(shim_options),
      cgroups_(cgroups),
      images_(images),
      options_(options),
      store_(store),
      watcher_(watcher),
      events_(events) {}

absl::Status ContainerManager::CheckName(const Pod& pod,
                                         const ContainerConfig& config) const {
  for (const auto& other : store_.ContainersOf(pod.id)) {
    const ContainerRecord record = other->record.Get();
    const auto& metadata = record.config().metadata();
    if (metadata.name() != config.metadata().name()) continue;
    if (metadata.attempt() == config.metadata().attempt()) {
      return absl::AlreadyExistsError(
          absl::StrCat("attempt ", metadata.attempt(), " of container \"",
                       metadata.name(), "\" exists as ", record.id()));
    }
    if (PhaseOf(record) != ContainerPhase::kExited) {
      return absl::FailedPreconditionError(
          absl::StrCat("container \"", metadata.name(),
                       "\" has not ended yet (", record.id(), ")"));
    }
  }
  return absl::OkStatus();
}

std::string ContainerManager::FindMade(const Pod& pod,
                                       const ContainerRecord& record) const {
  using google::protobuf::util::MessageDifferencer;
  for (const auto& other : store_.ContainersOf(pod.id)) {
    const std::shared_ptr<const ContainerRecord> made = other->record.Read();
    if (PhaseOf(*made) == ContainerPhase::kCreated && !made->removing() &&
        made->checkpoint() == record.checkpoint() &&
        MessageDifferencer::Equals(made->config(), record.config())) {
      return made->id();
    }
  }
  return "";
}

// kubelet makes the next attempt where it did not hear that the one before was
// made, which is then never started, and in the way.
void ContainerManager::EndUnstartedBefore(const Pod& pod,
                                          const ContainerConfig& config) {
  const auto& metadata = config.metadata();
  for (const auto& other : store_.ContainersOf(pod.id)) {
    const std::shared_ptr<const ContainerRecord> record = other->record.Read();
    const auto& before = record->config().metadata();
    if (PhaseOf(*record) == ContainerPhase::kCreated &&
        before.name() == metadata.name() &&
        before.attempt() < metadata.attempt()) {
      EndUnstarted(*other, "Superseded",
                   absl::StrCat("never started: attempt ", metadata.attempt(),
                                " came after it"));
    }
  }
}

void ContainerManager::EndUnstarted(Container& container, const char* reason,
                                    absl::string_view message) {
  const absl::Status written =
      container.record.ChangeAlways([&](ContainerRecord& r) {
        r.set_finished_at_ns(absl::GetCurrentTimeNanos());
        r.set_exit_code(kExitStartError);
        r.set_reason(reason);
        r.set_message(std::string(message));
      });
  CountGuestEnd(reason);
  events_.Emit(runtime::v1::CONTAINER_STOPPED_EVENT, container.id,
               container.pod_id);
  container.ended.Notify();
  if (!written.ok()) {
    spdlog::error("container {}: its end is in memory only: {}", container.id,
                  std::string(written.message()));
  }
}

absl::StatusOr<ContainerRecord> ContainerManager::NewRecord(
    const PodRecord& pod, const ContainerConfig& config) const {
  if (config.metadata().name().empty()) {
    return absl::InvalidArgumentError("the container's metadata lacks a name");
  }
  const auto& security = config.linux().security_context();
  if (security.has_run_as_group() && !security.has_run_as_user() &&
      security.run_as_username().empty()) {
    return absl::InvalidArgumentError(
        "the container has a runAsGroup without a runAsUser");
  }
  ContainerRecord record;
  record.set_version(kRecordVersion);
  record.set_id(NewId());
  record.set_pod_id(pod.id());
  *record.mutable_config() = config;
  record.set_created_at_ns(absl::GetCurrentTimeNanos());
  record.set_bundle(BundleDirectory(config_, record.id()));
  // Beside the sandbox's cgroup: on v2 a group with processes has no children.
  record.set_cgroup(CgroupBeside(pod.cgroup(), record.id()));
  record.set_log_path(LogPath(pod, config));
  return record;
}

absl::StatusOr<std::string> ContainerManager::Create(
    const std::string& pod_id, const ContainerConfig& config,
    const Origin& origin) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, store_.FindPod(pod_id));
  absl::MutexLock lock(&pod->operation);
  const PodRecord pod_record = pod->record.Get();
  if (!IsReady(*pod, pod_record)) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod ", pod->id, " is not ready: it was stopped"));
  }
  ASSIGN_OR_RETURN(ContainerRecord record, NewRecord(pod_record, config));
  record.set_checkpoint(origin.snapshot);
  record.set_checkpoint_id(origin.checkpoint_id);
  if (std::string made = FindMade(*pod, record); !made.empty()) return made;
  EndUnstartedBefore(*pod, config);
  RETURN_IF_ERROR(CheckName(*pod, config));
  NoteForLog(LogField::kContainer, record.id());
  auto container =
      std::make_shared<Container>(store_.ContainerPath(record.id()), record);
  absl::Status status = container->record.Save();
  if (status.ok()) status = Prepare(*pod, *container);
  if (status.ok()) status = FaultPoint("container.commit");
  if (!status.ok()) {
    ShareAnew(store_, *pod, record);
    // The record goes last: it is what a restart undoes the rest by.
    absl::Status undone = images_.Release(record.id());
    undone = FirstError(undone, RemoveFiles(config_, record));
    if (undone.ok()) undone = container->record.Erase();
    if (!undone.ok()) {
      spdlog::error("container {}: undoing its creation: {}", record.id(),
                    std::string(undone.message()));
    }
    return status;
  }
  store_.Add(container);
  events_.Emit(runtime::v1::CONTAINER_CREATED_EVENT, container->id, pod->id);
  return record.id();
}

absl::Status ContainerManager::Prepare(Pod& pod, Container& container) {
  RETURN_IF_ERROR(FaultPoint("container.record"));
  const PodRecord pod_record = pod.record.Get();
  ContainerRecord record = container.record.Get();
  ASSIGN_OR_RETURN(
      const Image image,
      images_.Acquire(record.config().image().image(), record.id()));
  RETURN_IF_ERROR(FaultPoint("container.image"));
  ASSIGN_OR_RETURN(const HandlerConfig* const handler,
                   FindHandler(config_, pod_record.handler()));
  const auto image_volume = [&](const runtime::v1::Mount& mount) {
    return MakeImageVolume(images_, mount, record.id(),
                           VolumesOf(config_, record.id()));
  };
  const Neighbours neighbours = NeighboursOf(store_, record);
  const PodRecord seen =
      WithFreeTaps(pod_record, neighbours, record.config().metadata().name());
  ASSIGN_OR_RETURN(const Bundle bundle,
                   MakeBundle({seen, record.config(), image, *handler,
                               CgroupsPathOf(record.cgroup()), record.bundle(),
                               image_volume, guest::ProbeNode(), options_}));
  *record.mutable_taps() = {bundle.taps.begin(), bundle.taps.end()};
  RETURN_IF_ERROR(ShareInterfaces(pod, neighbours.living, record));
  RETURN_IF_ERROR(FaultPoint("container.shared"));
  for (const std::string& note : bundle.notes) {
    spdlog::warn("container {}: {}", record.id(), note);
  }
  RETURN_IF_ERROR(WriteBundle(record.bundle(), bundle.spec));
  RETURN_IF_ERROR(FaultPoint("container.bundle"));
  return container.record.Change([&](ContainerRecord& r) {
    r.set_image_id(image.id);
    r.set_image_ref(image.repo_digests.empty() ? image.id
                                               : image.repo_digests.front());
    *r.mutable_root_layers() = {image.layers.begin(), image.layers.end()};
    r.set_unikernel(bundle.unikernel);
    r.set_target(bundle.target);
    r.set_takes_interface(!bundle.taps.empty());
    *r.mutable_taps() = {bundle.taps.begin(), bundle.taps.end()};
  });
}

absl::StatusOr<std::shared_ptr<Shim>> ContainerManager::PodShim(Pod& pod) {
  if (auto shim = pod.shim(); shim != nullptr && shim->connected()) {
    return shim;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<Shim> shim, Timed(Step::kShimStart, [&] {
                     return Shim::Start(
                         shim_options_, pod.id, ShimDirectory(config_, pod.id),
                         CgroupsPathOf(pod.record.Read()->cgroup()));
                   }));
  pod.set_shim(shim);
  return shim;
}

absl::Status ContainerManager::StartTask(Pod& pod, Container& container) {
  const ContainerRecord record = container.record.Get();
  RETURN_IF_ERROR(FaultPoint("container.starting"));
  ASSIGN_OR_RETURN(const std::shared_ptr<Shim> shim, PodShim(pod));
  if (const std::string& id = record.checkpoint_id(); !id.empty()) {
    RETURN_IF_ERROR(UseUpCheckpoint(RestoredPath(config_, id),
                                    PodName(pod.record.Read()->config())));
  }
  absl::Status status =
      shim->Create(container.id, record.bundle(), record.log_path(),
                   {record.root_layers().begin(), record.root_layers().end()},
                   record.checkpoint());
  if (status.ok()) status = FaultPoint("container.task");
  if (status.ok()) status = shim->Start(container.id);
  if (status.ok()) status = FaultPoint("container.start");
  if (!status.ok()) DestroyTask(*shim, record);
  return status;
}

// A task that never ran, that was just started, or that the shim makes after
// we gave up must not stay: its tender holds the pod's tap. What a shim that
// does not answer was asked for, it does in its order.
void ContainerManager::DestroyTask(Shim& shim,
                                   const ContainerRecord& record) const {
  absl::Status undone = shim.Destroy(record.id());
  if (undone.ok()) return;
  const auto cgroup = host::Cgroup::Open(cgroups_, record.cgroup());
  if (cgroup.ok()) undone = FirstError(undone, cgroup->Destroy());
  spdlog::warn("container {}: removing its task: {}", record.id(),
               std::string(undone.message()));
}

absl::StatusOr<ContainerManager::Found> ContainerManager::Find(
    const std::string& id) const {
  Found found;
  ASSIGN_OR_RETURN(found.container, store_.FindContainer(id));
  ASSIGN_OR_RETURN(found.pod, store_.FindPod(found.container->pod_id));
  NoteForLog(LogField::kContainer, found.container->id);
  NoteForLog(LogField::kPod, found.pod->id);
  return found;
}

absl::Status ContainerManager::Start(const std::string& id) {
  ASSIGN_OR_RETURN(const Found found, Find(id));
  const auto& [pod, container] = found;
  absl::MutexLock lock(&pod->operation);
  // It may have been removed while we waited, or started by the call before.
  RETURN_IF_ERROR(store_.FindContainer(container->id).status());
  const std::shared_ptr<const ContainerRecord> record =
      container->record.Read();
  if (PhaseOf(*record) == ContainerPhase::kRunning) return absl::OkStatus();
  if (PhaseOf(*record) == ContainerPhase::kExited) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", id, " was started before and has ended (",
                     record->reason(), "): a container runs once"));
  }
  if (record->removing()) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", id, " is being removed"));
  }
  if (!IsReady(*pod, *pod->record.Read())) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod ", pod->id, " is not ready: it was stopped"));
  }
  const int64_t now = absl::GetCurrentTimeNanos();
  // Whoever finds it without knows that nothing of it ever ran.
  // On a full disk it is started all the same.
  container->record
      .ChangeAlways([&](ContainerRecord& r) { r.set_starting_at_ns(now); })
      .IgnoreError();
  const absl::Status started =
      Timed(Step::kGuestStart, [&] { return StartTask(*pod, *container); });
  if (!started.ok()) {
    EndUnstarted(*container, kStartError, started.message());
    return started;
  }
  // The guest runs: that is so, also if it can't be written down.
  const absl::Status written = container->record.ChangeAlways(
      [&](ContainerRecord& r) { r.set_started_at_ns(now); });
  if (!written.ok()) {
    spdlog::error("container {}: {}", id, std::string(written.message()));
  }
  events_.Emit(runtime::v1::CONTAINER_STARTED_EVENT, container->id, pod->id);
  watcher_.Watch(container, pod->shim());
  return FaultPoint("container.started");
}

absl::Status ContainerManager::KillLocked(Pod& pod, Container& container) {
  if (PhaseOf(*container.record.Read()) != ContainerPhase::kRunning) {
    return absl::OkStatus();
  }
  const std::shared_ptr<Shim> shim = pod.shim();
  if (shim == nullptr) {
    watcher_.RecordLost(container, "its pod has no shim");
    return absl::OkStatus();
  }
  const absl::Status sent = shim->Kill(container.id, SIGKILL);
  if (absl::IsDeadlineExceeded(sent)) {
    watcher_.RecordLost(container, "its shim does not answer");
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(FaultPoint("container.kill"));
  // Not found: it ends just now. Unavailable: the watcher sees that as well.
  if (!sent.ok() && !absl::IsNotFound(sent) && !absl::IsUnavailable(sent)) {
    return sent;
  }
  if (container.ended.WaitForNotificationWithTimeout(kKillTimeout)) {
    return absl::OkStatus();
  }
  if (absl::IsNotFound(sent)) {
    watcher_.RecordLost(container, "its shim does not know of it");
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      absl::StrCat("container ", container.id, " has not ended ",
                   absl::FormatDuration(kKillTimeout), " after SIGKILL"));
}

absl::Status ContainerManager::Stop(const std::string& id, absl::Duration grace,
                                    absl::FunctionRef<bool()> hung_up) {
  const absl::StatusOr<Found> found = Find(id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  RETURN_IF_ERROR(found.status());
  const auto& [pod, container] = *found;
  {
    absl::MutexLock lock(&pod->operation);
    const std::shared_ptr<Shim> shim = pod->shim();
    // Whatever becomes of it: who does not end in time is killed.
    if (PhaseOf(*container->record.Read()) == ContainerPhase::kRunning &&
        shim != nullptr) {
      shim->Kill(container->id, SIGTERM).IgnoreError();
      RETURN_IF_ERROR(FaultPoint("container.term"));
    }
  }
  // Without the lock: a second call may have less patience.
  const Deadline deadline(grace);
  while (PhaseOf(*container->record.Read()) == ContainerPhase::kRunning &&
         !container->ended.WaitForNotificationWithTimeout(
             std::min(deadline.Left(), kHangUpPoll)) &&
         !deadline.Passed()) {
    // Who asks again may leave it more time, or less.
    if (hung_up()) {
      return absl::CancelledError(absl::StrCat(
          "the caller has hung up before container ", container->id,
          " has ended; it was told to end and is not killed"));
    }
  }
  absl::MutexLock lock(&pod->operation);
  return KillLocked(*pod, *container);
}

absl::Status ContainerManager::RemoveLocked(Pod& pod, Container& container) {
  RETURN_IF_ERROR(KillLocked(pod, container));
  if (!container.record.Read()->removing()) {
    // On a full disk it is removed all the same.
    container.record
        .ChangeAlways([](ContainerRecord& r) { r.set_removing(true); })
        .IgnoreError();
  }
  RETURN_IF_ERROR(FaultPoint("container.removing"));
  const ContainerRecord record = container.record.Get();
  // What was not answered in time may have come to be since.
  if (const std::shared_ptr<Shim> shim = pod.shim();
      shim != nullptr && record.reason() == kStartError) {
    DestroyTask(*shim, record);
  }
  // Normally gone with its task.
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(cgroups_, record.cgroup()));
  RETURN_IF_ERROR(cgroup.Destroy());
  RETURN_IF_ERROR(FaultPoint("container.cgroup-removed"));
  RETURN_IF_ERROR(images_.Release(container.id));
  RETURN_IF_ERROR(RemoveFiles(config_, record));
  RETURN_IF_ERROR(FaultPoint("container.bundle-removed"));
  RETURN_IF_ERROR(container.record.Erase());
  RETURN_IF_ERROR(FaultPoint("container.erased"));
  store_.RemoveContainer(container.id);
  ShareAnew(store_, pod, record);
  events_.Emit(runtime::v1::CONTAINER_DELETED_EVENT, container.id, pod.id);
  return absl::OkStatus();
}

absl::Status ContainerManager::Remove(const std::string& id) {
  const absl::StatusOr<Found> found = Find(id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  RETURN_IF_ERROR(found.status());
  absl::MutexLock lock(&found->pod->operation);
  // Another call may have removed it while we waited.
  if (!store_.FindContainer(found->container->id).ok()) return absl::OkStatus();
  return RemoveLocked(*found->pod, *found->container);
}

absl::Status ContainerManager::ReopenLog(const std::string& id) {
  ASSIGN_OR_RETURN(const Found found, Find(id));
  const auto& [pod, container] = found;
  const std::shared_ptr<Shim> shim = pod->shim();
  if (PhaseOf(*container->record.Read()) != ContainerPhase::kRunning ||
      shim == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", id, " is not running"));
  }
  RETURN_IF_ERROR(FaultPoint("log.reopen"));
  RETURN_IF_ERROR(shim->ReopenLog(container->id));
  return FaultPoint("log.reopened");
}

absl::Status ContainerManager::StopAll(Pod& pod) {
  absl::Status status;
  for (const auto& container : store_.ContainersOf(pod.id)) {
    status = FirstError(status, KillLocked(pod, *container));
  }
  return status;
}

absl::Status ContainerManager::RemoveAll(Pod& pod) {
  absl::Status status;
  for (const auto& container : store_.ContainersOf(pod.id)) {
    status = FirstError(status, RemoveLocked(pod, *container));
  }
  return status;
}

}  // namespace serai::cri
