// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/checkpoint_manager.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "cri/bundle/bundle.h"
#include "cri/checkpoint/archive.h"
#include "cri/checkpoint/compatible.h"
#include "cri/checkpoint/use.h"
#include "cri/layout.h"
#include "lib/base/deadline.h"
#include "lib/base/fault.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

using runtime::v1::ContainerConfig;
using runtime::v1::PodSandboxConfig;
using state::v1::ContainerCheckpoint;
using state::v1::PodCheckpoint;

constexpr uint32_t kCheckpointVersion = 1;
constexpr char kDescription[] = "pod.json";
constexpr char kSnapshot[] = "container.0";
constexpr char kScratch[] = ".snapshot";

absl::Status CheckAbsolute(const std::string& path, const char* what) {
  if (absl::StartsWith(path, "/")) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " \"", path, "\" is no absolute path"));
}

absl::Status CheckEmpty(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(directory, " is not empty: it has ", names.front()));
}

// Of a call that did not live to write the description: without it there is no
// checkpoint.
absl::Status ClearUnfinished(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  const auto is_ours = [](const std::string& name) {
    return name == kSnapshot ||
           absl::StartsWith(name, absl::StrCat(kDescription, ".tmp."));
  };
  if (!std::all_of(names.begin(), names.end(), is_ours)) {
    return absl::OkStatus();
  }
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveTree(JoinPath(directory, name)));
  }
  return absl::OkStatus();
}

// Snapshots that calls for the archive `location` did not live to remove.
absl::Status RemoveScratch(const std::string& location) {
  const size_t slash = location.rfind('/');
  const std::string directory = location.substr(0, slash + 1);
  const std::string prefix = absl::StrCat(location.substr(slash + 1), ".");
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory));
  for (const std::string& name : names) {
    absl::string_view id = name;
    if (!absl::ConsumePrefix(&id, prefix) ||
        !absl::ConsumeSuffix(&id, kScratch) || !IsId(id)) {
      continue;
    }
    RETURN_IF_ERROR(RemoveTree(JoinPath(directory, name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Shim>> ShimOf(const Pod& pod,
                                             const Container& container) {
  std::shared_ptr<Shim> shim = pod.shim();
  if (PhaseOf(container.record.Get()) == ContainerPhase::kRunning &&
      shim != nullptr) {
    return shim;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("container ", container.id,
                   " is not running: only a running guest can "
                   "be checkpointed"));
}

absl::StatusOr<PodCheckpoint> ReadCheckpoint(const std::string& directory) {
  PodCheckpoint checkpoint;
  RETURN_IF_ERROR(LoadRecord(JoinPath(directory, kDescription), checkpoint),
                  "the checkpoint");
  if (checkpoint.version() != kCheckpointVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint has version ", checkpoint.version(),
                     "; this seraid restores version ", kCheckpointVersion));
  }
  if (!IsId(checkpoint.id()) || checkpoint.containers_size() != 1 ||
      checkpoint.containers(0).snapshot() != kSnapshot) {
    return absl::DataLossError(
        absl::StrCat(JoinPath(directory, kDescription), " is damaged"));
  }
  return checkpoint;
}

}  // namespace

CheckpointManager::CheckpointManager(const Config& config, Store& store,
                                     PodManager& pods,
                                     ContainerManager& containers)
    : config_(config), store_(store), pods_(pods), containers_(containers) {}

absl::Status CheckpointManager::CheckpointContainer(const std::string& id,
                                                    const std::string& location,
                                                    absl::Duration timeout) {
  const Deadline deadline(timeout);
  RETURN_IF_ERROR(CheckAbsolute(location, "location"));
  ASSIGN_OR_RETURN(const Turns::Turn turn,
                   turns_.Take(location, [&] { return deadline.Passed(); }));
  if (PathExists(location)) {
    return absl::AlreadyExistsError(absl::StrCat(location, " exists already"));
  }
  ASSIGN_OR_RETURN(const auto container, store_.FindContainer(id));
  ASSIGN_OR_RETURN(const auto pod, store_.FindPod(container->pod_id));
  ASSIGN_OR_RETURN(const auto shim, ShimOf(*pod, *container));
  RETURN_IF_ERROR(RemoveScratch(location));
  // Beside the archive: that disk has to have the room anyway.
  const std::string scratch = absl::StrCat(location, ".", NewId(), kScratch);
  absl::Status status = shim->Snapshot(container->id, scratch, deadline.Left());
  if (status.ok()) status = WriteTar(scratch, location, deadline);
  return FirstError(status, RemoveTree(scratch));
}

absl::StatusOr<std::shared_ptr<Container>> CheckpointManager::OnlyRunning(
    const Pod& pod, const std::vector<std::string>& containers) const {
  std::shared_ptr<Container> only;
  for (const auto& container : store_.ContainersOf(pod.id)) {
    if (PhaseOf(container->record.Get()) != ContainerPhase::kRunning) continue;
    if (only != nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("pod ", pod.id,
                       " runs several unikernels: each has a memory of its "
                       "own, and their snapshots would not be of one moment"));
    }
    only = container;
  }
  if (only == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod ", pod.id, " runs no container"));
  }
  if (containers.size() != 1 || containers.front() != only->id) {
    return absl::InvalidArgumentError(absl::StrCat(
        "container_ids have to be those of the pod that run: ", only->id));
  }
  return only;
}

absl::Status CheckpointManager::WriteCheckpoint(const Pod& pod,
                                                const Container& container,
                                                const std::string& directory,
                                                absl::Duration timeout) {
  ASSIGN_OR_RETURN(const auto shim, ShimOf(pod, container));
  const PodRecord pod_record = pod.record.Get();
  const ContainerRecord record = container.record.Get();
  ASSIGN_OR_RETURN(const oci::RuntimeSpec guest, ReadBundle(record.bundle()));
  RETURN_IF_ERROR(CheckNothingIsWritten(guest));
  RETURN_IF_ERROR(
      shim->Snapshot(container.id, JoinPath(directory, kSnapshot), timeout));
  PodCheckpoint checkpoint;
  checkpoint.set_version(kCheckpointVersion);
  checkpoint.set_id(NewId());
  checkpoint.set_handler(pod_record.handler());
  *checkpoint.mutable_network() = pod_record.network();
  ContainerCheckpoint& out = *checkpoint.add_containers();
  *out.mutable_config() = record.config();
  out.set_image_id(record.image_id());
  out.set_snapshot(kSnapshot);
  out.set_guest_memory(guest.guest_memory.value_or(0));
  return SaveRecord(JoinPath(directory, kDescription), checkpoint);
}

absl::Status CheckpointManager::CheckpointPod(
    const std::string& pod_id, const std::vector<std::string>& containers,
    const std::string& directory, absl::Duration timeout) {
  const Deadline deadline(timeout);
  RETURN_IF_ERROR(CheckAbsolute(directory, "output_path"));
  ASSIGN_OR_RETURN(const Turns::Turn turn,
                   turns_.Take(directory, [&] { return deadline.Passed(); }));
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, store_.FindPod(pod_id));
  ASSIGN_OR_RETURN(const auto container, OnlyRunning(*pod, containers));
  RETURN_IF_ERROR(ClearUnfinished(directory));
  RETURN_IF_ERROR(CheckEmpty(directory));
  const absl::Status status =
      WriteCheckpoint(*pod, *container, directory, deadline.Left());
  if (status.ok()) return status;
  return FirstError(status,
                    FirstError(RemoveTree(JoinPath(directory, kSnapshot)),
                               RemovePath(JoinPath(directory, kDescription))));
}

absl::Status CheckpointManager::CheckRestored(
    const ContainerCheckpoint& checkpoint, const std::string& id) const {
  ASSIGN_OR_RETURN(const auto container, store_.FindContainer(id));
  const std::shared_ptr<const ContainerRecord> record =
      container->record.Read();
  ASSIGN_OR_RETURN(const oci::RuntimeSpec guest, ReadBundle(record->bundle()));
  RETURN_IF_ERROR(CheckSameGuest(checkpoint, record->image_id(), guest));
  return CheckNothingIsWritten(guest);
}

absl::StatusOr<std::string> CheckpointManager::RestoreContainer(
    const PodCheckpoint& checkpoint, const std::string& directory,
    const std::string& pod, const ContainerConfig& config) {
  const ContainerCheckpoint& container = checkpoint.containers(0);
  ASSIGN_OR_RETURN(
      const std::string id,
      containers_.Create(
          pod, config,
          {JoinPath(directory, container.snapshot()), checkpoint.id()}));
  const absl::Status fits = CheckRestored(container, id);
  if (fits.ok()) return id;
  return FirstError(fits, containers_.Remove(id));
}

absl::Status CheckpointManager::Restore(
    const PodCheckpoint& checkpoint, const std::string& directory,
    const PodSandboxConfig& config, const std::string& handler,
    const std::vector<ContainerConfig>& containers, Restored& restored) {
  RETURN_IF_ERROR(FaultPoint("restore.taken"));
  ASSIGN_OR_RETURN(restored.pod,
                   pods_.Run(config, handler, Never, checkpoint.network()),
                   "a pod for the guest's addresses");
  RETURN_IF_ERROR(FaultPoint("restore.pod"));
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                   store_.FindPod(restored.pod));
  const PodRecord record = pod->record.Get();
  if (record.handler() != checkpoint.handler()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the runtime handler is \"", record.handler(),
        "\", that of the checkpoint \"", checkpoint.handler(), "\""));
  }
  RETURN_IF_ERROR(CheckSameNetwork(checkpoint.network(), record.network()));
  ASSIGN_OR_RETURN(const std::string id,
                   RestoreContainer(checkpoint, directory, restored.pod,
                                    containers.front()));
  restored.containers.emplace_back(containers.front().metadata().name(), id);
  return FaultPoint("restore.container");
}

absl::StatusOr<CheckpointManager::Restored> CheckpointManager::RestorePod(
    const std::string& directory, const PodSandboxConfig& config,
    const std::string& handler,
    const std::vector<ContainerConfig>& containers) {
  RETURN_IF_ERROR(CheckAbsolute(directory, "checkpoint_path"));
  ASSIGN_OR_RETURN(const PodCheckpoint checkpoint, ReadCheckpoint(directory));
  RETURN_IF_ERROR(CheckSameContainers(checkpoint, containers));
  ASSIGN_OR_RETURN(const Turns::Turn turn,
                   turns_.Take(checkpoint.id(), nullptr));
  const std::string use = RestoredPath(config_, checkpoint.id());
  const std::string before = store_.HolderOf(PodName(config));
  ASSIGN_OR_RETURN(
      const bool again,
      TakeCheckpoint(use, PodName(config), [this](const std::string& name) {
        return !store_.HolderOf(name).empty();
      }));
  Restored restored;
  absl::Status status =
      Restore(checkpoint, directory, config, handler, containers, restored);
  if (status.ok()) return restored;
  // What another call has made is that call's.
  if (!restored.pod.empty() && restored.pod != before) {
    status = FirstError(status, pods_.Remove(restored.pod));
  }
  return again ? status : FirstError(status, RemovePath(use));
}

}  // namespace serai::cri
