// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is attached to the devices of a guest's manifest: the pod's interface to
// its network device; to a block device the volume whose path in the container
// ends in the device's name.

#include <vector>

#include "lib/base/status.h"
#include "lib/oci/runtime_spec.h"
#include "lib/solo5/unikernel.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

// An attachment for every device of `unikernel`. INVALID_ARGUMENT for one with
// nothing to attach: the message names the device, what the manifest lists and
// how to supply it.
absl::StatusOr<std::vector<oci::GuestDevice>> MatchDevices(
    const solo5::Unikernel& unikernel, const state::v1::PodRecord& pod,
    const runtime::v1::ContainerConfig& container);

}  // namespace serai::cri
