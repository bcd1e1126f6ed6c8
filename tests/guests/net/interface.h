// SPDX-License-Identifier: Apache-2.0
#pragma once

// An IPv4 host on one net device: answers ARP and ICMP echo, hands what else is
// for it to a Protocol. It only ever answers, and to the station the packet
// came from, so it needs neither an ARP table nor routes.

#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/guests/net/address.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

// Whom an answer goes to.
struct Station {
  MacAddress mac;
  Ipv4Address address;
};

inline constexpr uint8_t kProtocolIcmp = 1;
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;

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
  Interface(const Device& device, Ipv4Address address);

  Ipv4Address address() const { return address_; }
  MacAddress mac() const { return mac_; }
  // Bytes an IP packet may have.
  size_t mtu() const { return mtu_; }

  // `protocol` must outlive the interface.
  void Register(uint8_t number, Protocol* protocol);

  // Tells the neighbours where the address is.
  void Announce();

  // Handles the frames that are there, at most 64 of them.
  void Receive();

  // Where a segment to be sent is written, mtu() - 20 bytes.
  std::byte* segment();
  // Sends `size` bytes of segment(). A frame the device does not take is lost,
  // like any other.
  void Send(const Station& to, uint8_t protocol, size_t size);

  // Says once that a checksum was wrong: it hints at a host that left it to an
  // offload nobody does.
  void ReportBadChecksum(std::string_view of, Ipv4Address from);

 private:
  void ReceiveFrame(std::span<const std::byte> frame);
  void ReceiveArp(std::span<const std::byte> packet);
  void ReceiveIpv4(const MacAddress& from, std::span<const std::byte> packet);
  void ReceiveIcmp(const Station& from, std::span<const std::byte> segment);
  void SendArp(uint16_t operation, const MacAddress& to, Ipv4Address address);
  void SendFrame(const MacAddress& to, uint16_t type, size_t size);

  Device device_;
  MacAddress mac_;
  Ipv4Address address_;
  size_t mtu_;
  Protocol* tcp_ = nullptr;
  Protocol* udp_ = nullptr;
  uint16_t next_id_ = 0;
  bool reported_bad_checksum_ = false;
};

}  // namespace serai::guest
