// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/udp_echo.h"

#include "tests/guests/net/bytes.h"
#include "tests/guests/net/checksum.h"

namespace serai::guest {
namespace {

constexpr size_t kUdpHeader = 8;

}  // namespace

void UdpEcho::Receive(const Station& from,
                      std::span<const std::byte> datagram) {
  if (datagram.size() < kUdpHeader) return;
  const std::byte* const data = datagram.data();
  const size_t size = Get16(data + 4);
  if (size < kUdpHeader || size > datagram.size() || Get16(data + 2) != port_) {
    return;
  }
  // A checksum of 0 is one that the sender left out.
  if (Get16(data + 6) != 0 &&
      TransportChecksum(from.address, interface_.AddressFor(from), kProtocolUdp,
                        data, size) != 0) {
    interface_.ReportBadChecksum("UDP", from.address);
    return;
  }
  const uint16_t peer_port = Get16(data);
  // Two echo services would talk to each other for ever.
  if (peer_port == port_) return;
  std::byte* const reply = interface_.segment();
  __builtin_memcpy(reply, data, size);
  Put16(reply, port_);
  Put16(reply + 2, peer_port);
  Put16(reply + 4, static_cast<uint16_t>(size));
  Put16(reply + 6, 0);
  const uint16_t checksum = TransportChecksum(
      interface_.AddressFor(from), from.address, kProtocolUdp, reply, size);
  Put16(reply + 6, checksum == 0 ? uint16_t{0xffff} : checksum);
  interface_.Send(from, kProtocolUdp, size);
}

}  // namespace serai::guest
