// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes and unmakes sandboxes: network namespace, CNI attachment, tap, cgroup,
// record. There is no process in a sandbox; its shim comes with its container.
// Implements RunPodSandbox, StopPodSandbox and RemovePodSandbox of the CRI.
// Any thread.

#include <memory>
#include <string>

#include "cni/network.h"
#include "cri/config/config.h"
#include "cri/state/store.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

class ContainerManager;

class PodManager {
 public:
  // All must outlive the manager.
  PodManager(const Config& config, const ShimOptions& shim_options,
             const host::CgroupHierarchy& cgroups, cni::Client& network,
             Store& store, ContainerManager& containers);

  // Makes a sandbox and gives its id. On failure nothing is left; where the
  // undoing failed as well, the pod stays listed as not ready, so that kubelet
  // removes it later. ALREADY_EXISTS when the pod's name and attempt are
  // another sandbox's.
  absl::StatusOr<std::string> Run(const runtime::v1::PodSandboxConfig& config,
                                  const std::string& handler);

  // Ends the containers, gives back the network. An unknown id, or a stopped
  // pod, is success.
  absl::Status Stop(const std::string& id);

  // Stops, and forgets the pod and its containers. An unknown id is success.
  absl::Status Remove(const std::string& id);

  // Takes down all that the record names, but for the record itself. Each part
  // that is not there is success, so it can be tried again; the parts after one
  // that fails are still taken down.
  absl::Status TearDown(Pod& pod);

  // A record with the names that follow from a pod's id, and its cgroup in
  // `cgroup_parent` or, when that is empty, in the configured one.
  absl::StatusOr<PodRecord> Names(const std::string& id,
                                  const std::string& cgroup_parent) const;

 private:
  absl::StatusOr<PodRecord> NewRecord(
      const runtime::v1::PodSandboxConfig& config,
      const std::string& handler) const;
  absl::Status Build(Pod& pod);
  absl::Status Connect(Pod& pod);
  absl::Status StartShim(Pod& pod);
  absl::Status MakeCgroup(Pod& pod);
  void Undo(const std::shared_ptr<Pod>& pod);
  absl::Status StopLocked(Pod& pod);

  const Config& config_;
  const ShimOptions& shim_options_;
  const host::CgroupHierarchy& cgroups_;
  cni::Client& network_;
  Store& store_;
  ContainerManager& containers_;
};

}  // namespace serai::cri
