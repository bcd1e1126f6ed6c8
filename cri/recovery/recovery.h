// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a starting daemon does before it answers: reads the records, undoes what
// was half made, reconnects to the shims and learns what became of their
// containers while no daemon ran.

#include "cni/network.h"
#include "cri/config/config.h"
#include "cri/container/exit_watcher.h"
#include "cri/image/source.h"
#include "cri/pod/pod_manager.h"
#include "cri/state/store.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

class Recovery {
 public:
  // All must outlive the object.
  Recovery(const Config& config, const host::CgroupHierarchy& cgroups,
           ImageSource& images, Store& store, PodManager& pods,
           ExitWatcher& watcher, cni::Client& network)
      : config_(config),
        cgroups_(cgroups),
        images_(images),
        store_(store),
        pods_(pods),
        watcher_(watcher),
        network_(network) {}

  // Fills the store. Fails only when the records' directories can't be made or
  // read. What goes wrong with one pod is logged, and that pod is listed as not
  // ready. A record that can't be read is kept beside the others, as
  // NAME.unreadable, and logged; what runs by it is ended, since kubelet, which
  // no longer sees it, makes it anew.
  absl::Status Run();

 private:
  absl::Status LoadPods();
  absl::Status LoadContainers();
  void RecoverPod(const PodRecord& record);
  void DropPod(const std::string& id);
  void Reconnect(Pod& pod);
  void RecoverContainer(const ContainerRecord& record);
  void DropContainer(const std::string& id);
  void FollowTask(const std::shared_ptr<Pod>& pod,
                  const std::shared_ptr<Container>& container);
  void RestoreImages();
  void ReleaseUnknownNetworks();

  const Config& config_;
  const host::CgroupHierarchy& cgroups_;
  ImageSource& images_;
  Store& store_;
  PodManager& pods_;
  ExitWatcher& watcher_;
  cni::Client& network_;
};

}  // namespace serai::cri
