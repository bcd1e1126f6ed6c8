// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's side of a pod's network: a tap for each interface that the CNI
// plugins have left in the pod's namespace.

#include <string>
#include <vector>

#include "cni/network.h"
#include "lib/base/status.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

// Makes, or takes over from a plugin (lib/host/pod_tap.h), the taps in the
// namespace that `netns_fd` refers to, and tells of each
// interface what a guest is to know: `interface`, of which `result` speaks,
// first; then the others in order (lib/host/interface.h). FAILED_PRECONDITION
// with a sentence when the interface is not there or can't be taken over,
// INVALID_ARGUMENT for a result with two ways out. What is made goes with the
// namespace.
absl::StatusOr<std::vector<state::v1::PodNetwork>> WireInterfaces(
    int netns_fd, const std::string& interface, const cni::Result& result);

}  // namespace serai::cri
