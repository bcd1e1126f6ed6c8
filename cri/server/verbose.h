// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the verbose status calls add for people who look for a fault: JSON
// texts, as crictl's info, inspectp and inspect show them. What a shim is asked
// for it has two seconds to tell; without its answer the rest is told. Any
// thread.

#include <string>

#include "cni/network.h"
#include "cri/config/config.h"
#include "cri/state/store.h"
#include "lib/host/cgroup.h"

namespace serai::cri {

// Entries of the node's info, by their names.
std::string ConfigInfo(const Config& config);
std::string NodeInfo(const ShimOptions& programs,
                     const host::CgroupHierarchy& cgroups, const Store& store);
// The network's configuration that is in use, or why there is none.
std::string NetworkInfo(const cni::Client& network);

// The entry "info" of a pod's, of a container's. containerd's has the same
// names for pid, sandboxID, runtimeSpec and config.
std::string PodInfo(const Pod& pod, const Store& store);
std::string ContainerInfo(const ContainerRecord& record, Shim* shim);

}  // namespace serai::cri
