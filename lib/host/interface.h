// SPDX-License-Identifier: Apache-2.0
#pragma once

// A pod's network interface as the CNI plugins have left it: what there is to
// know of it where nobody has kept their result. Any thread.

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
};

// The interface of the namespace that `netns_fd` refers to: eth0 when it is an
// Ethernet interface, else the first Ethernet interface that is up; never a
// tap. Of several default routes through it, the gateway of the one with the
// lowest metric is told. NOT_FOUND when there is none, naming what there is.
absl::StatusOr<Interface> FindInterface(int netns_fd);

}  // namespace serai::host
