// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/checkpoint_manager.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "cri/checkpoint/archive.h"
#include "cri/checkpoint/compatible.h"
#include "cri/layout.h"
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
constexpr size_t kMaxPodName = 4096;

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

// Remembers which pod a checkpoint was used for, for good unless it is undone.
class Use {
 public:
  // `pod_is_there`: whether a pod called `pod` is. Then the same call is made
  // once more, by a caller who did not hear the answer.
  static absl::StatusOr<Use> Of(const Config& config,
                                const std::string& checkpoint_id,
                                const std::string& pod, bool pod_is_there) {
    const std::string path = JoinPath(RestoredDirectory(config), checkpoint_id);
    const auto fd = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL);
    if (fd.ok()) {
      const Use use(path, false);
      const absl::Status written = WriteAll(fd->get(), pod);
      if (written.ok()) return use;
      return FirstError(written, use.Undo());
    }
    if (!absl::IsAlreadyExists(fd.status())) return fd.status();
    ASSIGN_OR_RETURN(const std::string user, ReadFile(path, kMaxPodName));
    if (user == pod && pod_is_there) return Use(path, true);
    return absl::FailedPreconditionError(
        "this checkpoint was restored before: two guests of one memory image "
        "would draw the same random numbers and keys. Take another "
        "checkpoint");
  }

  bool again() const { return again_; }
  absl::Status Undo() const { return RemovePath(path_); }

 private:
  Use(std::string path, bool again) : path_(std::move(path)), again_(again) {}
  std::string path_;
  bool again_;
};

bool IsId(const std::string& id) {
  return id.size() == 64 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
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
  const absl::Time deadline = absl::Now() + timeout;
  RETURN_IF_ERROR(CheckAbsolute(location, "location"));
  if (PathExists(location)) {
    return absl::AlreadyExistsError(absl::StrCat(location, " exists already"));
  }
  ASSIGN_OR_RETURN(const auto container, store_.FindContainer(id));
  ASSIGN_OR_RETURN(const auto pod, store_.FindPod(container->pod_id));
  ASSIGN_OR_RETURN(const auto shim, ShimOf(*pod, *container));
  // Beside the archive: that disk has to have the room anyway.
  const std::string scratch = absl::StrCat(location, ".", NewId(), ".snapshot");
  absl::Status status = shim->Snapshot(container->id, scratch, timeout);
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
  RETURN_IF_ERROR(CheckNothingIsWritten(record));
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
  return SaveRecord(JoinPath(directory, kDescription), checkpoint);
}

absl::Status CheckpointManager::CheckpointPod(
    const std::string& pod_id, const std::vector<std::string>& containers,
    const std::string& directory, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckAbsolute(directory, "output_path"));
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, store_.FindPod(pod_id));
  ASSIGN_OR_RETURN(const auto container, OnlyRunning(*pod, containers));
  RETURN_IF_ERROR(CheckEmpty(directory));
  const absl::Status status =
      WriteCheckpoint(*pod, *container, directory, timeout);
  if (status.ok()) return status;
  return FirstError(status,
                    FirstError(RemoveTree(JoinPath(directory, kSnapshot)),
                               RemovePath(JoinPath(directory, kDescription))));
}

absl::StatusOr<std::string> CheckpointManager::RestoreContainer(
    const ContainerCheckpoint& checkpoint, const std::string& directory,
    const std::string& pod, const ContainerConfig& config) {
  ASSIGN_OR_RETURN(
      const std::string id,
      containers_.Create(pod, config,
                         JoinPath(directory, checkpoint.snapshot())));
  ASSIGN_OR_RETURN(const auto container, store_.FindContainer(id));
  const std::string image = container->record.Get().image_id();
  if (image == checkpoint.image_id()) return id;
  return absl::InvalidArgumentError(absl::StrCat("the image is ", image,
                                                 ", that of the checkpoint ",
                                                 checkpoint.image_id()));
}

absl::Status CheckpointManager::Restore(
    const PodCheckpoint& checkpoint, const std::string& directory,
    const PodSandboxConfig& config, const std::string& handler,
    const std::vector<ContainerConfig>& containers, Restored& restored) {
  ASSIGN_OR_RETURN(restored.pod,
                   pods_.Run(config, handler, Never, checkpoint.network()),
                   "a pod for the guest's addresses");
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                   store_.FindPod(restored.pod));
  RETURN_IF_ERROR(
      CheckSameNetwork(checkpoint.network(), pod->record.Get().network()));
  ASSIGN_OR_RETURN(const std::string id,
                   RestoreContainer(checkpoint.containers(0), directory,
                                    restored.pod, containers.front()));
  restored.containers.emplace_back(containers.front().metadata().name(), id);
  return absl::OkStatus();
}

absl::StatusOr<CheckpointManager::Restored> CheckpointManager::RestorePod(
    const std::string& directory, const PodSandboxConfig& config,
    const std::string& handler,
    const std::vector<ContainerConfig>& containers) {
  RETURN_IF_ERROR(CheckAbsolute(directory, "checkpoint_path"));
  ASSIGN_OR_RETURN(const PodCheckpoint checkpoint, ReadCheckpoint(directory));
  RETURN_IF_ERROR(CheckSameContainers(checkpoint, containers));
  const std::string name = PodName(config);
  ASSIGN_OR_RETURN(const Use use, Use::Of(config_, checkpoint.id(), name,
                                          !store_.HolderOf(name).empty()));
  Restored restored;
  absl::Status status =
      Restore(checkpoint, directory, config, handler, containers, restored);
  if (status.ok()) return restored;
  // What another call has made is that call's.
  if (use.again()) return status;
  if (!restored.pod.empty()) {
    status = FirstError(status, pods_.Remove(restored.pod));
  }
  return FirstError(status, use.Undo());
}

}  // namespace serai::cri
