// SPDX-License-Identifier: Apache-2.0
#pragma once

// The network that containerd's CNI plugins have made for a pod, and the taps
// by which a guest takes it over. For a program with one thread.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/guest/devices.h"
#include "lib/guest/network_args.h"
#include "lib/oci/runtime_spec.h"
#include "shim/state_file.h"

namespace serai::shim {

struct PodNetwork {
  UniqueFd netns;
  std::vector<guest::TakenInterface> interfaces;  // never empty
};

// What the namespace that `spec` names has for a guest. Changes nothing.
// FAILED_PRECONDITION with a sentence when there is no such namespace, or no
// interface in it. Starts threads: for a child of the shim.
absl::StatusOr<PodNetwork> LookAtPodNetwork(const oci::RuntimeSpec& spec);

// Makes the tap of one of `network`'s interfaces, in place of one that a dead
// container of the pod has left. FAILED_PRECONDITION when another container of
// the pod has the interface; nullopt when a CNI plugin has made its tap, which
// is used as it is. On failure nothing is left. Starts threads: for a
// child of the shim.
absl::StatusOr<std::optional<RecordedTap>> MakeTap(
    const oci::RuntimeSpec& spec, const PodNetwork& network,
    const guest::TakenInterface& interface);

// Removes the tap and what leads to it; that it is gone, or its namespace, is
// success. Works in a child.
absl::Status RemoveTap(const RecordedTap& tap);

// Removes what a child has left in `spec`'s namespace that was killed in
// MakeTap(). Taps that are in use stay. Works in a child.
absl::Status RemoveIdleTaps(const oci::RuntimeSpec& spec);

}  // namespace serai::shim
