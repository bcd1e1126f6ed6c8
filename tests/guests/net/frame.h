// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sizes and numbers of Ethernet and IP headers.

#include <cstddef>
#include <cstdint>

#include "tests/guests/net/interface.h"

namespace serai::guest {

inline constexpr size_t kEthernetHeader = 14;
inline constexpr uint16_t kTypeIpv4 = 0x0800;
inline constexpr uint16_t kTypeArp = 0x0806;
inline constexpr uint16_t kTypeIpv6 = 0x86dd;
inline constexpr size_t kIpv4Header = 20;
inline constexpr size_t kIpv6Header = 40;

// All nodes of the link (RFC 4291, section 2.7.1).
inline constexpr Station kAllNodes = {
    {{0x33, 0x33, 0, 0, 0, 1}},
    {{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};

inline bool IsMulticast(const MacAddress& mac) {
  return mac.bytes[0] == 0x33 && mac.bytes[1] == 0x33;
}

MacAddress GetMac(const std::byte* from);
void PutMac(std::byte* to, const MacAddress& mac);

}  // namespace serai::guest
