// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/interface.h"

#include "tests/guests/net/bytes.h"
#include "tests/guests/net/checksum.h"
#include "tests/guests/net/frame.h"

namespace serai::guest {
namespace {

constexpr size_t kArpSize = 28;
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;
constexpr uint8_t kTimeToLive = 64;
constexpr uint16_t kDoNotFragment = 0x4000;
constexpr uint16_t kFragmentMask = 0x3fff;  // more fragments, or an offset
constexpr size_t kIcmpHeader = 8;
constexpr uint8_t kEchoRequest = 8;
constexpr uint8_t kEchoReply = 0;

constexpr size_t kMinMtu = 68;  // RFC 791
constexpr size_t kMaxMtu = 9216;
constexpr int kFramesAtOnce = 64;

alignas(16) std::byte receive_buffer[kEthernetHeader + kMaxMtu];
alignas(16) std::byte send_buffer[kEthernetHeader + kIpv6Header + kMaxMtu];

// A host that can be answered: not 0/8, not multicast, not broadcast.
bool IsUnicast(Ipv4Address address) {
  const uint32_t first = address.value >> 24;
  return first != 0 && first < 224;
}

}  // namespace

void AppendTo(Writer& writer, const Addresses& addresses) {
  bool first = true;
  for (const IpAddress& address : List(addresses)) {
    if (!first) writer.Append(" and ");
    writer.Append(address);
    first = false;
  }
}

void AppendTo(Writer& writer, const Host& host) {
  if (host.address.is_ipv4()) return writer.Append(host.address);
  writer.Append('[');
  writer.Append(host.address);
  writer.Append(']');
}

AddressList List(const Addresses& addresses) {
  AddressList list;
  if (addresses.ipv4) list.addresses[list.size++] = Mapped(*addresses.ipv4);
  if (addresses.ipv6) list.addresses[list.size++] = *addresses.ipv6;
  return list;
}

MacAddress GetMac(const std::byte* from) {
  MacAddress mac;
  __builtin_memcpy(mac.bytes, from, sizeof(mac.bytes));
  return mac;
}

void PutMac(std::byte* to, const MacAddress& mac) {
  __builtin_memcpy(to, mac.bytes, sizeof(mac.bytes));
}

Interface::Interface(const Device& device, const Addresses& addresses)
    : device_(device), addresses_(addresses) {
  __builtin_memcpy(mac_.bytes, device.mac, sizeof(mac_.bytes));
  mtu_ = device.mtu < kMinMtu ? kMinMtu : device.mtu;
  if (mtu_ > kMaxMtu) mtu_ = kMaxMtu;
}

void Interface::Register(uint8_t number, Protocol* protocol) {
  (number == kProtocolTcp ? tcp_ : udp_) = protocol;
}

IpAddress Interface::AddressFor(const Station& peer) const {
  return peer.address.is_ipv4() ? Mapped(*addresses_.ipv4) : *addresses_.ipv6;
}

void Interface::Announce() {
  if (addresses_.ipv4) SendArp(kArpRequest, kBroadcastMac, *addresses_.ipv4);
  if (addresses_.ipv6) Advertise(kAllNodes, /*solicited=*/false);
}

void Interface::Receive() {
  for (int i = 0; i < kFramesAtOnce; ++i) {
    size_t size = kEthernetHeader + mtu_;
    if (NetRead(device_, receive_buffer, size) != IoResult::kOk) return;
    if (size <= kEthernetHeader + mtu_) ReceiveFrame({receive_buffer, size});
  }
}

void Interface::ReceiveFrame(std::span<const std::byte> frame) {
  if (frame.size() < kEthernetHeader) return;
  const MacAddress to = GetMac(frame.data());
  const MacAddress from = GetMac(frame.data() + 6);
  const uint16_t type = Get16(frame.data() + 12);
  const auto packet = frame.subspan(kEthernetHeader);
  if (addresses_.ipv4 && type == kTypeArp &&
      (to == mac_ || to == kBroadcastMac)) {
    ReceiveArp(packet);
  } else if (addresses_.ipv4 && type == kTypeIpv4 && to == mac_) {
    ReceiveIpv4(from, packet);
  } else if (addresses_.ipv6 && type == kTypeIpv6 &&
             (to == mac_ || IsMulticast(to))) {
    ReceiveIpv6(from, packet);
  }
}

void Interface::ReceiveArp(std::span<const std::byte> packet) {
  if (packet.size() < kArpSize) return;
  const std::byte* const data = packet.data();
  const bool ethernet_ipv4 = Get16(data) == 1 && Get16(data + 2) == kTypeIpv4 &&
                             Get8(data + 4) == 6 && Get8(data + 5) == 4;
  if (!ethernet_ipv4 || Get16(data + 6) != kArpRequest ||
      Get32(data + 24) != addresses_.ipv4->value) {
    return;
  }
  const MacAddress sender = GetMac(data + 8);
  if (sender == mac_) return;
  SendArp(kArpReply, sender, Ipv4Address{Get32(data + 14)});
}

void Interface::SendArp(uint16_t operation, const MacAddress& to,
                        Ipv4Address address) {
  std::byte* const arp = segment();
  Put16(arp, 1);
  Put16(arp + 2, kTypeIpv4);
  Put8(arp + 4, 6);
  Put8(arp + 5, 4);
  Put16(arp + 6, operation);
  PutMac(arp + 8, mac_);
  Put32(arp + 14, addresses_.ipv4->value);
  PutMac(arp + 18, operation == kArpRequest ? MacAddress{} : to);
  Put32(arp + 24, address.value);
  SendFrame(to, kTypeArp, arp, kArpSize);
}

void Interface::ReceiveIpv4(const MacAddress& from,
                            std::span<const std::byte> packet) {
  if (packet.size() < kIpv4Header) return;
  const std::byte* const data = packet.data();
  const size_t header = size_t{Get8(data)} % 16 * 4;
  const size_t total = Get16(data + 2);
  if (Get8(data) >> 4 != 4 || header < kIpv4Header || total < header ||
      total > packet.size()) {
    return;
  }
  const Ipv4Address sender = {Get32(data + 12)};
  const Station station = {from, Mapped(sender)};
  if (Get32(data + 16) != addresses_.ipv4->value || !IsUnicast(sender) ||
      (Get16(data + 6) & kFragmentMask) != 0) {
    return;
  }
  if (Checksum(data, header) != 0) {
    ReportBadChecksum("IPv4", station.address);
    return;
  }
  const auto segment = packet.subspan(header, total - header);
  const uint8_t protocol = Get8(data + 9);
  if (protocol == kProtocolIcmp) {
    ReceiveIcmp(station, segment);
  } else {
    Deliver(station, protocol, segment);
  }
}

void Interface::Deliver(const Station& from, uint8_t protocol,
                        std::span<const std::byte> segment) {
  if (protocol == kProtocolTcp && tcp_ != nullptr) {
    tcp_->Receive(from, segment);
  } else if (protocol == kProtocolUdp && udp_ != nullptr) {
    udp_->Receive(from, segment);
  }
}

void Interface::ReceiveIcmp(const Station& from,
                            std::span<const std::byte> request) {
  if (request.size() < kIcmpHeader || Get8(request.data()) != kEchoRequest ||
      Get8(request.data() + 1) != 0) {
    return;
  }
  if (Checksum(request.data(), request.size()) != 0) {
    ReportBadChecksum("ICMP", from.address);
    return;
  }
  std::byte* const reply = segment();
  __builtin_memcpy(reply, request.data(), request.size());
  Put8(reply, kEchoReply);
  Put16(reply + 2, 0);
  Put16(reply + 2, Checksum(reply, request.size()));
  Send(from, kProtocolIcmp, request.size());
}

size_t Interface::RoomFor(const Station& peer) const {
  return mtu_ - (peer.address.is_ipv4() ? kIpv4Header : kIpv6Header);
}

// With room before it for the longest headers.
std::byte* Interface::segment() {
  return send_buffer + kEthernetHeader + kIpv6Header;
}

void Interface::Send(const Station& to, uint8_t protocol, size_t size) {
  if (size > RoomFor(to)) return;
  if (to.address.is_ipv4()) {
    SendIpv4(to, protocol, size);
  } else {
    SendIpv6(to, protocol, size);
  }
}

void Interface::SendIpv4(const Station& to, uint8_t protocol, size_t size) {
  std::byte* const header = segment() - kIpv4Header;
  const size_t total = kIpv4Header + size;
  Put8(header, 0x45);
  Put8(header + 1, 0);
  Put16(header + 2, static_cast<uint16_t>(total));
  Put16(header + 4, next_id_++);
  Put16(header + 6, kDoNotFragment);
  Put8(header + 8, kTimeToLive);
  Put8(header + 9, protocol);
  Put16(header + 10, 0);
  Put32(header + 12, addresses_.ipv4->value);
  Put32(header + 16, to.address.ipv4().value);
  Put16(header + 10, Checksum(header, kIpv4Header));
  SendFrame(to.mac, kTypeIpv4, header, total);
}

void Interface::SendFrame(const MacAddress& to, uint16_t type,
                          std::byte* packet, size_t size) {
  std::byte* const frame = packet - kEthernetHeader;
  PutMac(frame, to);
  PutMac(frame + 6, mac_);
  Put16(frame + 12, type);
  (void)NetWrite(device_, frame, kEthernetHeader + size);
}

void Interface::ReportBadChecksum(std::string_view of, const IpAddress& from) {
  if (reported_bad_checksum_) return;
  reported_bad_checksum_ = true;
  Print("net: dropped a packet from ", from, " with a wrong ", of,
        " checksum (further ones are not reported)");
}

}  // namespace serai::guest
