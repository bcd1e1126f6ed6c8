// SPDX-License-Identifier: Apache-2.0
#pragma once

// A host of IPv4, IPv6 or both on one net device: answers ARP, neighbour
// solicitations and echo requests, hands what else is for it to a Protocol. It
// only ever answers, and to the station the packet came from, so it needs
// neither a table of neighbours nor routes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tests/guests/net/address.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

// Whom an answer goes to.
struct Station {
  MacAddress mac;
  IpAddress address;
};

// The host's own; one of the two at least.
struct Addresses {
  std::optional<Ipv4Address> ipv4;
  std::optional<IpAddress> ipv6;
};

inline constexpr uint8_t kProtocolIcmp = 1;
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;
inline constexpr uint8_t kProtocolIcmpv6 = 58;

struct AddressList {
  IpAddress addresses[2];
  size_t size = 0;

  const IpAddress* begin() const { return addresses; }
  const IpAddress* end() const { return addresses + size; }
};
AddressList List(const Addresses& addresses);

// "10.0.0.2 and fd00::2".
void AppendTo(Writer& writer, const Addresses& addresses);

// As a URL has it: one of IPv6 in brackets.
struct Host {
  IpAddress address;
};
void AppendTo(Writer& writer, const Host& host);

class Protocol {
 public:
  // `segment` is what the IP packet holds; gone when the call returns.
  virtual void Receive(const Station& from,
                       std::span<const std::byte> segment) = 0;

 protected:
  ~Protocol() = default;
};

class Interface {
 public:
  Interface(const Device& device, const Addresses& addresses);

  // The one that `peer` knows us by.
  IpAddress AddressFor(const Station& peer) const;
  MacAddress mac() const { return mac_; }
  // Bytes an IP packet may have.
  size_t mtu() const { return mtu_; }

  // `protocol` must outlive the interface.
  void Register(uint8_t number, Protocol* protocol);

  // Tells the neighbours where the addresses are.
  void Announce();

  // Handles the frames that are there, at most 64 of them.
  void Receive();

  // Bytes a segment to `peer` may have.
  size_t RoomFor(const Station& peer) const;
  // Where a segment to be sent is written.
  std::byte* segment();
  // Sends `size` bytes of segment(). A frame the device does not take is lost,
  // like any other.
  void Send(const Station& to, uint8_t protocol, size_t size);

  // Says once that a checksum was wrong: it hints at a host that left it to an
  // offload nobody does.
  void ReportBadChecksum(std::string_view of, const IpAddress& from);

 private:
  void ReceiveFrame(std::span<const std::byte> frame);
  void ReceiveArp(std::span<const std::byte> packet);
  void ReceiveIpv4(const MacAddress& from, std::span<const std::byte> packet);
  void ReceiveIcmp(const Station& from, std::span<const std::byte> segment);
  void ReceiveIpv6(const MacAddress& from, std::span<const std::byte> packet);
  void ReceiveIcmpv6(const Station& from, std::span<const std::byte> segment);
  void Deliver(const Station& from, uint8_t protocol,
               std::span<const std::byte> segment);
  void SendArp(uint16_t operation, const MacAddress& to, Ipv4Address address);
  void Advertise(const Station& to, bool solicited);
  void SendIpv4(const Station& to, uint8_t protocol, size_t size);
  void SendIpv6(const Station& to, uint8_t protocol, size_t size);
  // The packet of `size` bytes stands at `packet` in the buffer.
  void SendFrame(const MacAddress& to, uint16_t type, std::byte* packet,
                 size_t size);

  Device device_;
  MacAddress mac_;
  Addresses addresses_;
  size_t mtu_;
  Protocol* tcp_ = nullptr;
  Protocol* udp_ = nullptr;
  uint16_t next_id_ = 0;
  bool reported_bad_checksum_ = false;
};

}  // namespace serai::guest
