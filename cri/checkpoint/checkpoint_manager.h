// SPDX-License-Identifier: Apache-2.0
#pragma once

// Snapshots of guests as the CRI has them: CheckpointContainer (an archive to
// look into), CheckpointPod and RestorePod (a pod that goes on where another
// one was, on the same node). docs/adr/0018-checkpoints.md says what a restored
// pod must have again and why a checkpoint is restored once. Any thread.

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cri/config/config.h"
#include "cri/container/container_manager.h"
#include "cri/image/turns.h"
#include "cri/pod/pod_manager.h"
#include "cri/state/store.h"
#include "lib/base/status.h"
#include "proto/state/checkpoint.pb.h"

namespace serai::cri {

class CheckpointManager {
 public:
  // All must outlive the manager.
  CheckpointManager(const Config& config, Store& store, PodManager& pods,
                    ContainerManager& containers);

  // Writes the guest's snapshot as a tar archive to `location`, a path at which
  // there is nothing; beside it there may be what a call left that did not live
  // to its end. The guest goes on. On failure nothing stays.
  // FAILED_PRECONDITION when it does not run, or is no hvt guest.
  absl::Status CheckpointContainer(const std::string& id,
                                   const std::string& location,
                                   absl::Duration timeout);

  // Writes a pod's checkpoint into `directory`, which exists and is empty, or
  // has what a call left that did not live to its end.
  // `containers` are exactly those of the pod that run. On failure the
  // directory is empty again.
  absl::Status CheckpointPod(const std::string& pod_id,
                             const std::vector<std::string>& containers,
                             const std::string& directory,
                             absl::Duration timeout);

  struct Restored {
    std::string pod;
    std::vector<std::pair<std::string, std::string>> containers;  // name, id
  };
  // Makes a pod and its container, which Start() lets go on from the
  // checkpoint. On failure nothing of them stays. The same call once more,
  // until the container is started, has the same answer; afterwards no call has
  // one.
  absl::StatusOr<Restored> RestorePod(
      const std::string& directory, const runtime::v1::PodSandboxConfig& config,
      const std::string& handler,
      const std::vector<runtime::v1::ContainerConfig>& containers);

 private:
  absl::StatusOr<std::shared_ptr<Container>> OnlyRunning(
      const Pod& pod, const std::vector<std::string>& containers) const;
  absl::Status WriteCheckpoint(const Pod& pod, const Container& container,
                               const std::string& directory,
                               absl::Duration timeout);
  // `restored` has what was made, also when it fails.
  absl::Status Restore(
      const state::v1::PodCheckpoint& checkpoint, const std::string& directory,
      const runtime::v1::PodSandboxConfig& config, const std::string& handler,
      const std::vector<runtime::v1::ContainerConfig>& containers,
      Restored& restored);
  absl::StatusOr<std::string> RestoreContainer(
      const state::v1::PodCheckpoint& checkpoint, const std::string& directory,
      const std::string& pod, const runtime::v1::ContainerConfig& config);
  absl::Status CheckRestored(const state::v1::ContainerCheckpoint& checkpoint,
                             const std::string& id) const;

  const Config& config_;
  Store& store_;
  PodManager& pods_;
  ContainerManager& containers_;
  // By path of what is written, and by id of what is restored.
  Turns turns_;
};

}  // namespace serai::cri
