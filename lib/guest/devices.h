// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is attached to the devices of a guest's manifest: to its network devices
// the pod's interfaces, in order or by annotation; to a block device what
// block_devices.h finds.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/guest/block_devices.h"
#include "lib/guest/network_args.h"
#include "lib/oci/guest_devices.h"
#include "lib/solo5/unikernel.h"

namespace serai::guest {

// On the pod: `serai.dev/net.DEVICE: net1` gives the guest's DEVICE the pod's
// interface net1. Devices without one get what is left, in order.
inline constexpr char kPodAnnotationNet[] = "serai.dev/net.";

// An interface of the pod's, as a guest takes it over.
struct TakenInterface {
  std::string name;  // "eth0"
  std::string tap;
  std::string mac;
  uint32_t mtu = 0;
  std::vector<NetworkAddress> addresses;
  bool tap_on_node = false;    // in the node's network namespace, not the pod's
  bool tap_of_plugin = false;  // made by a CNI plugin, who removes it
};

struct Attachments {
  // eth0 first. Looked at for network devices only.
  std::vector<TakenInterface> interfaces;
  BlockSources blocks;
  std::map<std::string, std::string> annotations;  // the pod's
};

// Whether the guest has a network device.
bool WantsNetwork(const solo5::Unikernel& unikernel);

// An attachment for every device of `unikernel`, in the manifest's order.
// INVALID_ARGUMENT for one with nothing to attach: the message names the
// device, what the manifest lists and how to supply it. What may be made
// meanwhile: see FindBlockDevice().
absl::StatusOr<std::vector<oci::GuestDevice>> MatchDevices(
    const solo5::Unikernel& unikernel, const Attachments& attachments);

// The interface that `device`, one of MatchDevices()', is attached to; null for
// a block device.
const TakenInterface* InterfaceOf(const oci::GuestDevice& device,
                                  const Attachments& attachments);

// The network devices among `devices`, each with its interface's addresses.
std::vector<DeviceNetwork> NetworksOf(
    const std::vector<oci::GuestDevice>& devices,
    const Attachments& attachments);

// What people should know of who has a guest with fewer devices than they gave
// it interfaces, or an annotation for a device it has not: sentences.
std::vector<std::string> UnusedNetworks(
    const std::vector<oci::GuestDevice>& devices,
    const Attachments& attachments);

}  // namespace serai::guest
