// SPDX-License-Identifier: Apache-2.0
#pragma once

// DHCP (RFC 2131, RFC 2132) for one client whose address is known beforehand:
// what a guest asks in an Ethernet frame, and the frame that answers it. There
// is no state: the lease is the pod's address, and lasts as long as the pod.
// Frames are the guest's, and hostile. Pure functions.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/oci/guest_devices.h"

namespace serai::shim {

using MacAddress = std::array<uint8_t, 6>;
using Ipv4Address = uint32_t;  // host byte order

// No frame that is longer is looked at, and none is sent.
inline constexpr size_t kMaxDhcpFrame = 1514;

// Types of messages (RFC 2132, 9.6).
enum class DhcpType : uint8_t {
  kDiscover = 1,
  kOffer = 2,
  kRequest = 3,
  kDecline = 4,
  kAck = 5,
  kNak = 6,
  kRelease = 7,
  kInform = 8,
};

struct DhcpRequest {
  DhcpType type = DhcpType::kDiscover;
  uint32_t transaction = 0;
  bool broadcast = false;     // wants the answer as one
  Ipv4Address client = 0;     // the address it has; 0: none
  MacAddress mac = {};        // the client's
  Ipv4Address to = 0;         // where the packet was sent
  Ipv4Address requested = 0;  // option 50; 0: none
  Ipv4Address server = 0;     // option 54; 0: none
  bool wants_routes = false;  // asks for option 121
};

// The client's message in an Ethernet frame; nothing when it is something else,
// or breaks a rule of IPv4, UDP or DHCP.
std::optional<DhcpRequest> ParseDhcpRequest(absl::string_view frame);

// What a client is told.
struct DhcpFacts {
  MacAddress client_mac = {};
  MacAddress server_mac = {};
  Ipv4Address address = 0;
  uint32_t prefix_length = 0;
  Ipv4Address gateway = 0;  // 0: none
  Ipv4Address server = 0;   // who answers: the gateway, or a link-local address
  std::vector<Ipv4Address> dns_servers;
  std::string hostname;
  uint32_t mtu = 0;  // 0: not told
};

// What `device`, a network device with a lease, is told. INVALID_ARGUMENT when
// it has no MAC, or none that can be read.
absl::StatusOr<DhcpFacts> DhcpFactsOf(const oci::GuestDevice& device,
                                      const MacAddress& server_mac);

// The frame that answers: an offer, an acknowledgement or a refusal (of a
// request for another address). Nothing where there is nothing to say: to
// another station, to a client that has chosen another server.
std::optional<std::string> DhcpAnswer(const DhcpRequest& request,
                                      const DhcpFacts& facts);

}  // namespace serai::shim
