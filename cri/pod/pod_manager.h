// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes and unmakes sandboxes: network namespace, CNI attachment, tap, cgroup,
// record. There is no process in a sandbox; its shim comes with its container.
// Implements RunPodSandbox, StopPodSandbox and RemovePodSandbox of the CRI.
// Any thread.

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "cni/network.h"
#include "cri/config/config.h"
#include "cri/events/event_hub.h"
#include "cri/pod/creations.h"
#include "cri/state/store.h"
#include "lib/base/status.h"
#include "lib/base/worker_pool.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

class ContainerManager;

class PodManager {
 public:
  // All must outlive the manager.
  PodManager(const Config& config, const ShimOptions& shim_options,
             const host::CgroupHierarchy& cgroups, cni::Client& network,
             Store& store, ContainerManager& containers, EventHub& events);

  // Makes a sandbox and gives its id, also when its caller has hung up: the
  // same call again waits for the first, with whose outcome it ends, or finds
  // the pod that it made. On failure nothing is left; where the undoing failed
  // as well, the pod stays listed as not ready, so that kubelet removes it
  // later. ALREADY_EXISTS when the pod's name and attempt are those of a
  // sandbox that is not ready or was asked for otherwise; CANCELLED when
  // `hung_up` says so while a first call is waited for. The plugins are asked
  // for the addresses of `wanted`.
  absl::StatusOr<std::string> Run(const runtime::v1::PodSandboxConfig& config,
                                  const std::string& handler,
                                  absl::FunctionRef<bool()> hung_up = Never,
                                  const state::v1::PodNetwork& wanted = {});

  // Ends the containers, gives back the network. An unknown id, or a stopped
  // pod, is success.
  absl::Status Stop(const std::string& id);

  // Stops, and forgets the pod and its containers. An unknown id is success.
  absl::Status Remove(const std::string& id);

  // Beside everything else, and so without holding up who calls: takes down
  // what a dead daemon left half made, record and all; stops a pod that is
  // stopping or not alive; removes a container that was being removed. What
  // fails is logged, and the pod listed as not ready.
  void UndoLater(std::shared_ptr<Pod> pod);
  void StopLater(std::shared_ptr<Pod> pod);
  void RemoveContainerLater(const std::string& id);
  // The same for a pod of which nothing is known but its id.
  void DropLater(const std::string& id);
  void Later(std::function<void()> work) { later_.Run(std::move(work)); }
  // Writes down what kubelet allows the pod as a whole: the cgroup with these
  // limits is kubelet's own.
  absl::Status UpdateResources(
      const std::string& id,
      const runtime::v1::LinuxContainerResources& overhead,
      const runtime::v1::LinuxContainerResources& resources);

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
  absl::StatusOr<std::string> Make(const PodRecord& record);
  absl::StatusOr<std::string> FindMade(const PodRecord& record) const;
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
  EventHub& events_;
  Creations creations_;
  // The last: what they do uses the others.
  WorkerPool beside_;
  WorkerPool later_;
};

}  // namespace serai::cri
