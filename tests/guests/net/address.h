// SPDX-License-Identifier: Apache-2.0
#pragma once

// Ethernet and IPv4 addresses: parsing and printing.

#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/guests/runtime/console.h"

namespace serai::guest {

struct MacAddress {
  uint8_t bytes[6];
};
bool operator==(const MacAddress& a, const MacAddress& b);
inline constexpr MacAddress kBroadcastMac = {
    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
void AppendTo(Writer& writer, const MacAddress& address);

struct Ipv4Address {
  uint32_t value;  // host byte order
};
inline bool operator==(Ipv4Address a, Ipv4Address b) {
  return a.value == b.value;
}
void AppendTo(Writer& writer, Ipv4Address address);

// "10.0.0.2".
std::optional<Ipv4Address> ParseIpv4(std::string_view text);

// "10.0.0.2/24"; the prefix is checked and left out, for a guest answers
// everyone through the station the packet came from.
std::optional<Ipv4Address> ParseIpv4WithPrefix(std::string_view text);

}  // namespace serai::guest
