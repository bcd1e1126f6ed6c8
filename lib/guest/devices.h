// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is attached to the devices of a guest's manifest: the pod's interface to
// its network device; to a block device what block_devices.h finds.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/guest/block_devices.h"
#include "lib/oci/guest_devices.h"
#include "lib/solo5/unikernel.h"

namespace serai::guest {

// The pod's interface, as a guest takes it over.
struct TakenInterface {
  std::string tap;
  std::string mac;
  uint32_t mtu = 0;
};

struct Attachments {
  TakenInterface interface;  // looked at for a network device only
  BlockSources blocks;
};

// Whether the guest has a network device.
bool WantsNetwork(const solo5::Unikernel& unikernel);

// An attachment for every device of `unikernel`. INVALID_ARGUMENT for one with
// nothing to attach: the message names the device, what the manifest lists and
// how to supply it. What may be made meanwhile: see FindBlockDevice().
absl::StatusOr<std::vector<oci::GuestDevice>> MatchDevices(
    const solo5::Unikernel& unikernel, const Attachments& attachments);

}  // namespace serai::guest
