// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses and routes of a link, as a program sets them. For the namespace of
// the socket.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"

struct nl_sock;  // libnl's

namespace serai::host {

struct LinkAddress {
  std::string address;  // "10.0.0.2" or "fd00::2"
  uint32_t prefix_length = 0;

  bool operator==(const LinkAddress&) const = default;
};

struct LinkRoute {
  std::string destination;  // the network's address
  uint32_t prefix_length = 0;
  std::string gateway;  // empty: the destination is on the link

  bool operator==(const LinkRoute&) const = default;
};

// Without duplicate address detection. One that is there already is success.
absl::Status AddAddress(nl_sock* socket, int index, const LinkAddress& address);
// In the main table; the gateway may lie outside the link's prefixes.
absl::Status AddRoute(nl_sock* socket, int index, const LinkRoute& route);

// Those of global scope, IPv4 before IPv6, each in the kernel's order.
absl::StatusOr<std::vector<LinkAddress>> AddressesOf(nl_sock* socket,
                                                     int index);
// The unicast routes of the main table that somebody has set.
absl::StatusOr<std::vector<LinkRoute>> RoutesOf(nl_sock* socket, int index);

}  // namespace serai::host
