// SPDX-License-Identifier: Apache-2.0
#pragma once

// A DHCP client (RFC 2131) without state: it asks once, and keeps what it got.

#include <optional>

#include "tests/guests/net/address.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

struct Lease {
  Ipv4Address address = {0};
  Ipv4Address mask = {0};
  Ipv4Address gateway = {0};
  Ipv4Address server = {0};
  Ipv4Address dns[4] = {};
  size_t dns_count = 0;
  uint32_t seconds = 0;
  uint16_t mtu = 0;
  size_t routes = 0;  // bytes of option 121
  char name[64] = {};
  size_t name_size = 0;
};

// Discover, request; nothing when nobody has answered for `patience`
// nanoseconds. `wanted` in the request in place of the offered address, when it
// is not 0: then the refusal is what is waited for, and address is 0.
std::optional<Lease> AskForLease(const Device& device, uint64_t patience,
                                 Ipv4Address wanted);

}  // namespace serai::guest
