// SPDX-License-Identifier: Apache-2.0
#include "shim/dhcp_message.h"

#include <arpa/inet.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace serai::shim {
namespace {

constexpr size_t kIpHeader = 20;
constexpr size_t kUdpHeader = 8;
constexpr uint16_t kServerPort = 67;
constexpr uint16_t kClientPort = 68;

// Of a message (RFC 2131, 2): from its begin.
constexpr size_t kTransaction = 4;
constexpr size_t kFlags = 10;
constexpr size_t kClient = 12;
constexpr size_t kYour = 16;
constexpr size_t kHardware = 28;
constexpr size_t kCookie = 236;
constexpr size_t kOptions = 240;
constexpr size_t kLeastMessage = 300;  // as BOOTP has it
constexpr uint8_t kBootRequest = 1;
constexpr uint8_t kBootReply = 2;
constexpr uint8_t kEthernet = 1;
constexpr uint16_t kBroadcastFlag = 0x8000;
constexpr uint32_t kMagicCookie = 0x63825363;
constexpr uint32_t kForEver = 0xffffffff;
constexpr Ipv4Address kEverybody = 0xffffffff;
constexpr Ipv4Address kLinkLocal = 0xa9fe0101;  // 169.254.1.1
constexpr size_t kMaxHostname = 63;             // a label of DNS

enum Option : uint8_t {
  kPad = 0,
  kMask = 1,
  kRouters = 3,
  kDnsServers = 6,
  kHostname = 12,
  kMtu = 26,
  kRequested = 50,
  kLeaseTime = 51,
  kMessageType = 53,
  kServer = 54,
  kParameters = 55,
  kRoutes = 121,  // RFC 3442
  kEnd = 255,
};

// The caller has checked that they are there.
uint8_t Get8(absl::string_view data, size_t at) {
  return static_cast<uint8_t>(data[at]);
}
uint16_t Get16(absl::string_view data, size_t at) {
  return static_cast<uint16_t>(Get8(data, at) << 8 | Get8(data, at + 1));
}
uint32_t Get32(absl::string_view data, size_t at) {
  return uint32_t{Get16(data, at)} << 16 | Get16(data, at + 2);
}

void Put16(std::string& data, size_t at, uint16_t value) {
  data[at] = static_cast<char>(value >> 8);
  data[at + 1] = static_cast<char>(value & 0xff);
}
void Put32(std::string& data, size_t at, uint32_t value) {
  Put16(data, at, static_cast<uint16_t>(value >> 16));
  Put16(data, at + 2, static_cast<uint16_t>(value & 0xffff));
}

void PutMac(std::string& data, size_t at, const MacAddress& mac) {
  std::copy(mac.begin(), mac.end(), data.begin() + static_cast<ptrdiff_t>(at));
}

// The Internet checksum (RFC 1071) of `data`, on top of a sum.
uint16_t Checksum(absl::string_view data, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < data.size(); i += 2) sum += Get16(data, i);
  if (data.size() % 2 == 1) sum += uint32_t{Get8(data, data.size() - 1)} << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// The UDP payload of a frame from port 68 to port 67, and whom it is for.
struct Datagram {
  absl::string_view payload;
  Ipv4Address to = 0;
};

std::optional<Datagram> DatagramIn(absl::string_view frame) {
  if (frame.size() < ETH_HLEN + kIpHeader || frame.size() > kMaxDhcpFrame ||
      Get16(frame, 12) != ETH_P_IP) {
    return std::nullopt;
  }
  const absl::string_view ip = frame.substr(ETH_HLEN);
  const size_t header = size_t{4} * (Get8(ip, 0) & 15U);
  const size_t total = Get16(ip, 2);  // a short frame has padding behind it
  if (Get8(ip, 0) >> 4 != 4 || header < kIpHeader || total > ip.size() ||
      total < header + kUdpHeader || Get8(ip, 9) != IPPROTO_UDP ||
      (Get16(ip, 6) & 0x3fff) != 0 ||  // a fragment
      Checksum(ip.substr(0, header)) != 0) {
    return std::nullopt;
  }
  const absl::string_view udp = ip.substr(header, total - header);
  const size_t size = Get16(udp, 4);
  if (Get16(udp, 0) != kClientPort || Get16(udp, 2) != kServerPort ||
      size < kUdpHeader || size > udp.size()) {
    return std::nullopt;
  }
  return Datagram{udp.substr(kUdpHeader, size - kUdpHeader), Get32(ip, 16)};
}

// False when they break off.
bool ReadOptions(absl::string_view options, DhcpRequest& request) {
  std::optional<uint8_t> type;
  while (!options.empty()) {
    const uint8_t code = Get8(options, 0);
    if (code == kEnd) break;
    options.remove_prefix(1);
    if (code == kPad) continue;
    if (options.empty() || Get8(options, 0) >= options.size()) return false;
    const absl::string_view value = options.substr(1, Get8(options, 0));
    options.remove_prefix(1 + value.size());
    if (code == kMessageType && value.size() == 1) type = Get8(value, 0);
    if (code == kRequested && value.size() == 4) {
      request.requested = Get32(value, 0);
    }
    if (code == kServer && value.size() == 4) request.server = Get32(value, 0);
    if (code == kParameters) {
      request.wants_routes =
          value.find(static_cast<char>(kRoutes)) != absl::string_view::npos;
    }
  }
  if (!type) return false;  // BOOTP
  request.type = static_cast<DhcpType>(*type);
  return true;
}

class Options {
 public:
  void Add(uint8_t code, absl::string_view value) {
    text_.push_back(static_cast<char>(code));
    text_.push_back(static_cast<char>(value.size()));
    text_.append(value.data(), value.size());
  }
  void Add16(uint8_t code, uint16_t value) {
    std::string bytes(2, '\0');
    Put16(bytes, 0, value);
    Add(code, bytes);
  }
  void Add32(uint8_t code, const std::vector<uint32_t>& values) {
    std::string bytes(4 * values.size(), '\0');
    for (size_t i = 0; i < values.size(); ++i) Put32(bytes, 4 * i, values[i]);
    Add(code, bytes);
  }
  std::string Take() && {
    text_.push_back(static_cast<char>(kEnd));
    return std::move(text_);
  }

 private:
  std::string text_;
};

Ipv4Address MaskOf(uint32_t prefix_length) {
  return prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - prefix_length);
}

bool IsOutside(const DhcpFacts& facts) {
  const Ipv4Address mask = MaskOf(facts.prefix_length);
  return (facts.address & mask) != (facts.gateway & mask);
}

// A gateway outside of the network can be reached all the same: on the link.
// The client that takes these routes forgets the routers.
std::string Routes(Ipv4Address gateway) {
  std::string routes(14, '\0');
  routes[0] = 32;
  Put32(routes, 1, gateway);
  Put32(routes, 10, gateway);  // behind a router of 0, and a prefix of 0
  return routes;
}

std::string OptionsOf(DhcpType type, const DhcpRequest& request,
                      const DhcpFacts& facts) {
  Options options;
  options.Add(kMessageType, std::string(1, static_cast<char>(type)));
  options.Add32(kServer, {facts.server});
  if (type == DhcpType::kNak) return std::move(options).Take();
  if (request.type != DhcpType::kInform) {
    options.Add32(kLeaseTime, {kForEver});
  }
  options.Add32(kMask, {MaskOf(facts.prefix_length)});
  if (facts.gateway != 0) {
    options.Add32(kRouters, {facts.gateway});
    if (request.wants_routes && IsOutside(facts)) {
      options.Add(kRoutes, Routes(facts.gateway));
    }
  }
  if (!facts.dns_servers.empty()) options.Add32(kDnsServers, facts.dns_servers);
  if (!facts.hostname.empty() && facts.hostname.size() <= kMaxHostname) {
    options.Add(kHostname, facts.hostname);
  }
  if (facts.mtu != 0 && facts.mtu <= 0xffff) {
    options.Add16(kMtu, static_cast<uint16_t>(facts.mtu));
  }
  return std::move(options).Take();
}

// What a request is answered with; nothing: with silence.
std::optional<DhcpType> TypeOfAnswer(const DhcpRequest& request,
                                     const DhcpFacts& facts) {
  switch (request.type) {
    case DhcpType::kDiscover:
      return DhcpType::kOffer;
    case DhcpType::kInform:
      return DhcpType::kAck;
    case DhcpType::kRequest: {
      if (request.server != 0 && request.server != facts.server) {
        return std::nullopt;
      }
      const Ipv4Address wanted =
          request.requested != 0 ? request.requested : request.client;
      return wanted == facts.address ? DhcpType::kAck : DhcpType::kNak;
    }
    default:
      return std::nullopt;
  }
}

std::string MessageOf(DhcpType type, const DhcpRequest& request,
                      const DhcpFacts& facts) {
  std::string message(kOptions, '\0');
  message[0] = kBootReply;
  message[1] = kEthernet;
  message[2] = static_cast<char>(request.mac.size());
  Put32(message, kTransaction, request.transaction);
  if (request.broadcast) Put16(message, kFlags, kBroadcastFlag);
  if (type == DhcpType::kAck) Put32(message, kClient, request.client);
  if (type != DhcpType::kNak && request.type != DhcpType::kInform) {
    Put32(message, kYour, facts.address);
  }
  PutMac(message, kHardware, request.mac);
  Put32(message, kCookie, kMagicCookie);
  message += OptionsOf(type, request, facts);
  if (message.size() < kLeastMessage) message.resize(kLeastMessage, '\0');
  return message;
}

// Where the answer goes (RFC 2131, 4.1).
Ipv4Address Destination(DhcpType type, const DhcpRequest& request,
                        const DhcpFacts& facts) {
  if (type == DhcpType::kNak) return kEverybody;
  if (request.client != 0) return request.client;
  return request.broadcast ? kEverybody : facts.address;
}

std::string FrameOf(const std::string& message, Ipv4Address to,
                    const DhcpFacts& facts) {
  std::string udp(kUdpHeader, '\0');
  Put16(udp, 0, kServerPort);
  Put16(udp, 2, kClientPort);
  Put16(udp, 4, static_cast<uint16_t>(kUdpHeader + message.size()));
  udp += message;
  std::string ip(kIpHeader, '\0');
  ip[0] = 0x45;
  Put16(ip, 2, static_cast<uint16_t>(kIpHeader + udp.size()));
  ip[8] = 64;
  ip[9] = IPPROTO_UDP;
  Put32(ip, 12, facts.server);
  Put32(ip, 16, to);
  Put16(ip, 10, Checksum(ip));
  // Over a header of its own: addresses, protocol and length.
  const uint32_t pseudo = (facts.server >> 16) + (facts.server & 0xffff) +
                          (to >> 16) + (to & 0xffff) + IPPROTO_UDP +
                          static_cast<uint32_t>(udp.size());
  const uint16_t checksum = Checksum(udp, pseudo);
  Put16(udp, 6, checksum == 0 ? uint16_t{0xffff} : checksum);
  std::string frame(ETH_HLEN, '\0');
  if (to == kEverybody) {
    PutMac(frame, 0, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  } else {
    PutMac(frame, 0, facts.client_mac);
  }
  PutMac(frame, 6, facts.server_mac);
  Put16(frame, 12, ETH_P_IP);
  return frame + ip + udp;
}

std::optional<Ipv4Address> ParseIpv4(const std::string& text) {
  in_addr address = {};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::optional<MacAddress> ParseMac(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  MacAddress mac;
  if (parts.size() != mac.size()) return std::nullopt;
  for (size_t i = 0; i < mac.size(); ++i) {
    uint32_t byte = 0;
    if (parts[i].size() != 2 || !absl::SimpleHexAtoi(parts[i], &byte)) {
      return std::nullopt;
    }
    mac[i] = static_cast<uint8_t>(byte);
  }
  return mac;
}

}  // namespace

std::optional<DhcpRequest> ParseDhcpRequest(absl::string_view frame) {
  const std::optional<Datagram> datagram = DatagramIn(frame);
  if (!datagram) return std::nullopt;
  const absl::string_view message = datagram->payload;
  DhcpRequest request;
  if (message.size() < kOptions || Get8(message, 0) != kBootRequest ||
      Get8(message, 1) != kEthernet || Get8(message, 2) != request.mac.size() ||
      Get32(message, kCookie) != kMagicCookie) {
    return std::nullopt;
  }
  request.to = datagram->to;
  request.transaction = Get32(message, kTransaction);
  request.broadcast = (Get16(message, kFlags) & kBroadcastFlag) != 0;
  request.client = Get32(message, kClient);
  for (size_t i = 0; i < request.mac.size(); ++i) {
    request.mac[i] = Get8(message, kHardware + i);
  }
  if (!ReadOptions(message.substr(kOptions), request)) return std::nullopt;
  return request;
}

absl::StatusOr<DhcpFacts> DhcpFactsOf(const oci::GuestDevice& device,
                                      const MacAddress& server_mac) {
  const oci::DhcpLease lease = device.lease.value_or(oci::DhcpLease());
  const std::optional<MacAddress> mac = ParseMac(device.mac);
  const std::optional<Ipv4Address> address = ParseIpv4(lease.address);
  if (!mac || !address || lease.prefix_length > 32) {
    return absl::InvalidArgumentError(
        absl::StrCat("net device ", device.name,
                     " has no MAC or no IPv4 address to be told by DHCP"));
  }
  DhcpFacts facts;
  facts.client_mac = *mac;
  facts.server_mac = server_mac;
  facts.address = *address;
  facts.prefix_length = lease.prefix_length;
  facts.gateway = ParseIpv4(lease.gateway).value_or(0);
  facts.server = facts.gateway != 0 ? facts.gateway : kLinkLocal;
  for (const std::string& server : lease.dns_servers) {
    if (const auto parsed = ParseIpv4(server)) {
      facts.dns_servers.push_back(*parsed);
    }
  }
  facts.hostname = lease.hostname;
  facts.mtu = device.mtu;
  return facts;
}

std::optional<std::string> DhcpAnswer(const DhcpRequest& request,
                                      const DhcpFacts& facts) {
  if (request.mac != facts.client_mac) return std::nullopt;
  // What goes to another server by name is that one's.
  if (request.to != kEverybody && request.to != facts.server) {
    return std::nullopt;
  }
  const std::optional<DhcpType> type = TypeOfAnswer(request, facts);
  if (!type) return std::nullopt;
  return FrameOf(MessageOf(*type, request, facts),
                 Destination(*type, request, facts), facts);
}

}  // namespace serai::shim
