// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tap by which a guest takes over a pod's interface, wherever it is: one
// that a CNI plugin has put on the node, one that it has wired in the pod, or
// one that is made here. Any thread.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/host/interface.h"
#include "lib/host/tap.h"

namespace serai::host {

struct PodTap {
  std::string name;
  std::string mac;
  uint32_t mtu = 0;
  int index = 0;         // 0 for one on the node
  bool on_node = false;  // in the node's namespace, not the pod's
  bool made = false;     // here: who called removes it (RemoveTap())
};

// Takes the tap of `interface`, one of ListInterfaces() of the namespace that
// `netns_fd` refers to, or makes one with the name `name`. The guest may send
// from `addresses`; one on the node has a guard of the plugin's. Errors as
// CreateTap()'s and AdoptTap()'s.
absl::StatusOr<PodTap> TakeInterface(int netns_fd, const Interface& interface,
                                     const std::string& name,
                                     const std::vector<std::string>& addresses);

}  // namespace serai::host
