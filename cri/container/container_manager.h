// SPDX-License-Identifier: Apache-2.0
#pragma once

// The containers of pods: one unikernel each, run by the pod's shim. Those that
// share an interface of the pod's are told apart by their ports
// (cri/container/sharing.h). Implements
// CreateContainer, StartContainer, StopContainer, RemoveContainer and
// ReopenContainerLog of the CRI. Any thread. A container runs at most once; a
// restart is a new container in the same pod.

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "cri/config/config.h"
#include "cri/container/exit_watcher.h"
#include "cri/events/event_hub.h"
#include "cri/image/source.h"
#include "cri/state/store.h"
#include "cri/task/shim.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

class OptionsCache;

class ContainerManager {
 public:
  // All must outlive the manager.
  ContainerManager(const Config& config, const ShimOptions& shim_options,
                   const host::CgroupHierarchy& cgroups, ImageSource& images,
                   OptionsCache& options, Store& store, ExitWatcher& watcher,
                   EventHub& events);

  // What a guest goes on from.
  struct Origin {
    std::string snapshot;       // a directory; empty: the guest begins
    std::string checkpoint_id;  // taken for the pod (cri/checkpoint/use.h)
  };

  // Makes a container of pod `pod_id` and gives its id. All that can be known
  // to be wrong with it is found here. On failure nothing is left. The same
  // call again, whose first answer did not arrive, finds what that one made, as
  // long as it was not started.
  absl::StatusOr<std::string> Create(const std::string& pod_id,
                                     const runtime::v1::ContainerConfig& config,
                                     const Origin& origin);
  absl::StatusOr<std::string> Create(
      const std::string& pod_id, const runtime::v1::ContainerConfig& config) {
    return Create(pod_id, config, Origin());
  }

  // Starts the unikernel; one that runs is success. FAILED_PRECONDITION when it
  // has ended. On failure the container has ended, with the reason in its
  // record.
  absl::Status Start(const std::string& id);

  // SIGTERM, then SIGKILL after `grace`; returns when the container has ended.
  // An unknown id, or one that does not run, is success. CANCELLED as soon as
  // `hung_up` says so: the container has its SIGTERM then, and is not killed.
  absl::Status Stop(
      const std::string& id, absl::Duration grace,
      absl::FunctionRef<bool()> hung_up = [] { return false; });

  // Ends it if it runs, and forgets it. An unknown id is success.
  absl::Status Remove(const std::string& id);

  // Changes the limits of the container; what is 0 or "" stays. Before its
  // start all of it counts, the guest's memory too; of a running guest the
  // cgroup's limits: INVALID_ARGUMENT for less memory than it was started with.
  // On failure nothing has changed.
  absl::Status UpdateResources(
      const std::string& id,
      const runtime::v1::LinuxContainerResources& resources);

  // Has the shim open the container's log file anew, after a rotation.
  absl::Status ReopenLog(const std::string& id);

  // For the pod manager, which holds pod.operation.
  // The pod's shim: the one that runs, or a new one, in the pod's cgroup.
  absl::StatusOr<std::shared_ptr<Shim>> PodShim(Pod& pod);
  absl::Status StopAll(Pod& pod);
  absl::Status RemoveAll(Pod& pod);

 private:
  struct Found {
    std::shared_ptr<Pod> pod;
    std::shared_ptr<Container> container;
  };
  // NOT_FOUND also when the pod is being removed with it.
  absl::StatusOr<Found> Find(const std::string& id) const;
  absl::StatusOr<ContainerRecord> NewRecord(
      const PodRecord& pod, const runtime::v1::ContainerConfig& config) const;
  absl::Status CheckName(const Pod& pod,
                         const runtime::v1::ContainerConfig& config) const;
  // The id of what the same call has made already; empty: none.
  std::string FindMade(const Pod& pod, const ContainerRecord& record) const;
  void EndUnstartedBefore(const Pod& pod,
                          const runtime::v1::ContainerConfig& config);
  // Writes down that it will never run.
  void EndUnstarted(Container& container, const char* reason,
                    absl::string_view message);
  absl::Status Prepare(Pod& pod, Container& container);
  absl::Status Rebundle(const PodRecord& pod,
                        const ContainerRecord& record) const;
  absl::Status Limit(const PodRecord& pod, const ContainerRecord& record) const;
  absl::Status StartTask(Pod& pod, Container& container);
  void DestroyTask(Shim& shim, const ContainerRecord& record) const;
  absl::Status KillLocked(Pod& pod, Container& container);
  absl::Status RemoveLocked(Pod& pod, Container& container);

  const Config& config_;
  const ShimOptions& shim_options_;
  const host::CgroupHierarchy& cgroups_;
  ImageSource& images_;
  OptionsCache& options_;
  Store& store_;
  ExitWatcher& watcher_;
  EventHub& events_;
};

}  // namespace serai::cri
