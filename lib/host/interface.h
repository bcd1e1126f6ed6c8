// SPDX-License-Identifier: Apache-2.0
#pragma once

// A pod's network interfaces as the CNI plugins have left them: what there is
// to know of them where nobody has kept their results. Any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::host {

struct InterfaceAddress {
  std::string address;  // "10.0.0.2" or "fd00::2"
  uint32_t prefix_length = 0;
  std::string gateway;  // of the family's default route; empty: none

  bool operator==(const InterfaceAddress&) const = default;
};

struct Interface {
  std::string name;
  std::string mac;  // "aa:bb:cc:dd:ee:ff"
  uint32_t mtu = 0;
  // Of global scope; IPv4 before IPv6, each in the kernel's order.
  std::vector<InterfaceAddress> addresses;
  // That a CNI plugin (serai-tap) has made for it already; empty: none.
  std::string tap = {};
  bool tap_on_node = false;  // in the node's namespace
};

// The Ethernet interfaces of the namespace that `netns_fd` refers to, without
// loopback and taps: eth0, the cluster's own, up or not; then all others that
// are up, in the order of their names and numbers (net1, net2, net10). Of
// several default routes through one, the gateway of that with the lowest
// metric is told.
// NOT_FOUND when there is none, naming what there is.
absl::StatusOr<std::vector<Interface>> ListInterfaces(int netns_fd);

}  // namespace serai::host
