// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a guest has in its memory has to be so again where it is restored. Pure
// functions.

#include <string>
#include <vector>

#include "cri/state/store.h"
#include "lib/base/status.h"
#include "lib/oci/runtime_spec.h"
#include "proto/state/checkpoint.pb.h"

namespace serai::cri {

// FAILED_PRECONDITION for a guest that may write to a volume: a checkpoint has
// no volume's content, and a guest trusts what it remembers of one.
absl::Status CheckNothingIsWritten(const oci::RuntimeSpec& guest);

// FAILED_PRECONDITION when the pod's addresses are not those that the guest
// has.
absl::Status CheckSameNetwork(const state::v1::PodNetwork& guest,
                              const state::v1::PodNetwork& pod);

// INVALID_ARGUMENT when `now` has not the image and the memory that the guest
// has.
absl::Status CheckSameGuest(const state::v1::ContainerCheckpoint& then,
                            const std::string& image_id,
                            const oci::RuntimeSpec& now);

// INVALID_ARGUMENT when `configs` are not those of the checkpoint's containers:
// names, commands, arguments, memory limits.
absl::Status CheckSameContainers(
    const state::v1::PodCheckpoint& checkpoint,
    const std::vector<runtime::v1::ContainerConfig>& configs);

}  // namespace serai::cri
