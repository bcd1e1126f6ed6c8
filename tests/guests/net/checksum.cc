// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/checksum.h"

#include "tests/guests/net/bytes.h"

namespace serai::guest {
namespace {

uint64_t Sum(const std::byte* data, size_t size) {
  uint64_t sum = 0;
  for (; size >= 2; data += 2, size -= 2) sum += Get16(data);
  if (size == 1) sum += uint64_t{Get8(data)} << 8;
  return sum;
}

uint16_t Fold(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

uint16_t Checksum(const std::byte* data, size_t size) {
  return Fold(Sum(data, size));
}

uint16_t TransportChecksum(const IpAddress& from, const IpAddress& to,
                           uint8_t protocol, const std::byte* data,
                           size_t size) {
  // What maps an IPv4 address is 0xffff, which is nothing to this sum.
  const auto sum_of = [](const IpAddress& address) {
    return Sum(reinterpret_cast<const std::byte*>(address.bytes),
               sizeof(address.bytes));
  };
  return Fold(sum_of(from) + sum_of(to) + protocol + size + Sum(data, size));
}

}  // namespace serai::guest
