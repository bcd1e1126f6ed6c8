// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a starting daemon does before it answers: reads the records, reconnects
// to the shims, and learns what became of their containers while no daemon ran.
// What was half made is undone, and what was half taken down is finished,
// beside the calls that it answers by then.

#include <memory>
#include <string>
#include <vector>

#include "cni/network.h"
#include "cri/config/config.h"
#include "cri/container/exit_watcher.h"
#include "cri/image/source.h"
#include "cri/pod/pod_manager.h"
#include "cri/recovery/load.h"
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

  // Fills the store; takes some seconds at most, however many shims don't
  // answer. Fails only when the records' directories can't be made or read.
  // What goes wrong with one pod is logged, and that pod is listed as not
  // ready; one whose shim does not answer is listed as its record and its
  // cgroup say, until it does. A record that can't be read is kept beside the
  // others, as NAME.unreadable, and logged; what runs by it is ended, since
  // kubelet, which no longer sees it, makes it anew. What a newer seraid
  // recorded is left as it is, running, and its name stays taken.
  absl::Status Run();

 private:
  // Containers that are being learned of, or taken down.
  struct Pending;

  void AddPods(const FoundRecords& found);
  void AddPod(const PodRecord& record);
  void Connect(Pod& pod);
  void AddContainers(const FoundRecords& found);
  void RemoveLeftover(const ContainerRecord& record);
  void Follow(const std::shared_ptr<Pod>& pod,
              const std::shared_ptr<Container>& container);
  void AwaitAnswers();
  void TellAsLastSeen(const std::shared_ptr<Container>& container);
  void DropContainer(const std::string& id);
  std::vector<std::shared_ptr<Shim>> ShimsOf(const std::string& bundle) const;
  void RestoreImages(const FoundRecords& found);
  void FinishLater(const FoundRecords& found);
  void ReleaseUnknownNetworks(const FoundRecords& found);

  const Config& config_;
  const host::CgroupHierarchy& cgroups_;
  ImageSource& images_;
  Store& store_;
  PodManager& pods_;
  ExitWatcher& watcher_;
  cni::Client& network_;

  std::vector<std::shared_ptr<Pod>> half_made_;
  std::vector<std::shared_ptr<Pod>> to_stop_;
  std::vector<std::string> to_remove_;  // containers
  std::shared_ptr<Pending> pending_;
};

}  // namespace serai::cri
