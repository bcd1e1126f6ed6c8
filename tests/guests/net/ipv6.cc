// SPDX-License-Identifier: Apache-2.0
// The IPv6 (RFC 8200) and neighbour discovery (RFC 4861) of an Interface.
#include "tests/guests/net/bytes.h"
#include "tests/guests/net/checksum.h"
#include "tests/guests/net/frame.h"
#include "tests/guests/net/interface.h"

namespace serai::guest {
namespace {

constexpr uint8_t kHopLimit = 255;  // which neighbour discovery demands
constexpr uint8_t kEchoRequest = 128;
constexpr uint8_t kEchoReply = 129;
constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;
constexpr uint32_t kSolicited = 0x40000000;
constexpr uint32_t kOverride = 0x20000000;
constexpr uint8_t kTargetLinkAddress = 2;
constexpr size_t kIcmpHeader = 8;
constexpr size_t kNeighbourSize = 24;      // header and target
constexpr size_t kAdvertisementSize = 32;  // with our hardware address

IpAddress GetAddress(const std::byte* from) {
  IpAddress address;
  __builtin_memcpy(address.bytes, from, sizeof(address.bytes));
  return address;
}

void PutAddress(std::byte* to, const IpAddress& address) {
  __builtin_memcpy(to, address.bytes, sizeof(address.bytes));
}

// Not multicast, not unspecified, and none that maps one of IPv4.
bool IsUnicast(const IpAddress& address) {
  return address.bytes[0] != 0xff && !(address == IpAddress{}) &&
         !address.is_ipv4();
}

}  // namespace

void Interface::ReceiveIpv6(const MacAddress& from,
                            std::span<const std::byte> packet) {
  if (packet.size() < kIpv6Header) return;
  const std::byte* const data = packet.data();
  const size_t size = Get16(data + 4);
  if (Get8(data) >> 4 != 6 || size > packet.size() - kIpv6Header) return;
  const Station station = {from, GetAddress(data + 8)};
  const IpAddress to = GetAddress(data + 24);
  const bool ours = to == *addresses_.ipv6;
  if (!IsUnicast(station.address) || (!ours && to.bytes[0] != 0xff)) return;
  const auto segment = packet.subspan(kIpv6Header, size);
  // Extension headers are no protocol of ours.
  const uint8_t protocol = Get8(data + 6);
  if (protocol == kProtocolIcmpv6) {
    if (TransportChecksum(station.address, to, protocol, segment.data(),
                          segment.size()) != 0) {
      return ReportBadChecksum("ICMPv6", station.address);
    }
    ReceiveIcmpv6(station, segment);
  } else if (ours) {
    Deliver(station, protocol, segment);
  }
}

void Interface::ReceiveIcmpv6(const Station& from,
                              std::span<const std::byte> message) {
  if (message.size() < kIcmpHeader || Get8(message.data() + 1) != 0) return;
  const uint8_t type = Get8(message.data());
  if (type == kSolicitation && message.size() >= kNeighbourSize &&
      GetAddress(message.data() + kIcmpHeader) == *addresses_.ipv6) {
    Advertise(from, /*solicited=*/true);
  } else if (type == kEchoRequest && message.size() <= RoomFor(from)) {
    std::byte* const reply = segment();
    __builtin_memcpy(reply, message.data(), message.size());
    Put8(reply, kEchoReply);
    Put16(reply + 2, 0);
    Put16(reply + 2, TransportChecksum(AddressFor(from), from.address,
                                       kProtocolIcmpv6, reply, message.size()));
    Send(from, kProtocolIcmpv6, message.size());
  }
}

void Interface::Advertise(const Station& to, bool solicited) {
  std::byte* const message = segment();
  Put8(message, kAdvertisement);
  Put8(message + 1, 0);
  Put16(message + 2, 0);
  Put32(message + 4, solicited ? kSolicited | kOverride : kOverride);
  PutAddress(message + kIcmpHeader, *addresses_.ipv6);
  Put8(message + kNeighbourSize, kTargetLinkAddress);
  Put8(message + kNeighbourSize + 1, 1);  // in units of 8 bytes
  PutMac(message + kNeighbourSize + 2, mac_);
  Put16(message + 2,
        TransportChecksum(AddressFor(to), to.address, kProtocolIcmpv6, message,
                          kAdvertisementSize));
  Send(to, kProtocolIcmpv6, kAdvertisementSize);
}

void Interface::SendIpv6(const Station& to, uint8_t protocol, size_t size) {
  std::byte* const header = segment() - kIpv6Header;
  Put32(header, 0x60000000);
  Put16(header + 4, static_cast<uint16_t>(size));
  Put8(header + 6, protocol);
  Put8(header + 7, kHopLimit);
  PutAddress(header + 8, *addresses_.ipv6);
  PutAddress(header + 24, to.address);
  SendFrame(to.mac, kTypeIpv6, header, kIpv6Header + size);
}

}  // namespace serai::guest
