// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Internet checksum (RFC 1071).

#include <cstddef>
#include <cstdint>

#include "tests/guests/net/address.h"

namespace serai::guest {

// The checksum of `size` bytes when its own field is 0 in them; 0 when the
// field is there and right.
uint16_t Checksum(const std::byte* data, size_t size);

// The same over the pseudo header of TCP, UDP and ICMPv6, and their segment.
uint16_t TransportChecksum(const IpAddress& from, const IpAddress& to,
                           uint8_t protocol, const std::byte* data,
                           size_t size);

}  // namespace serai::guest
