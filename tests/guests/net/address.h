// SPDX-License-Identifier: Apache-2.0
#pragma once

// Ethernet and IP addresses: parsing and printing.

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

// An address of either family: one of IPv4 is the IPv6 address that maps it
// (RFC 4291, section 2.5.5.2), which makes no difference to checksums.
struct IpAddress {
  uint8_t bytes[16];

  bool is_ipv4() const;
  Ipv4Address ipv4() const;  // of one that is
};
bool operator==(const IpAddress& a, const IpAddress& b);
IpAddress Mapped(Ipv4Address address);
// As RFC 5952 has it.
void AppendTo(Writer& writer, const IpAddress& address);

// "fd00::7", and the same with a prefix length, which is left out.
std::optional<IpAddress> ParseIpv6(std::string_view text);
std::optional<IpAddress> ParseIpv6WithPrefix(std::string_view text);

}  // namespace serai::guest
