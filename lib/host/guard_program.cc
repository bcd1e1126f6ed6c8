// SPDX-License-Identifier: Apache-2.0
#include "lib/host/guard_program.h"

#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>

#include <array>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace serai::host {
namespace {

using Program = std::vector<sock_filter>;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kPass = static_cast<uint32_t>(TC_ACT_UNSPEC);
constexpr uint32_t kDrop = TC_ACT_SHOT;

// Offsets in the frame.
constexpr uint32_t kSourceMac = 6;
constexpr uint32_t kType = 12;
constexpr uint32_t kPayload = 14;
constexpr uint32_t kIp4Fragment = kPayload + 6;
constexpr uint32_t kIp4Protocol = kPayload + 9;
constexpr uint32_t kIp4Source = kPayload + 12;
constexpr uint32_t kIp4End = kPayload + 20;
constexpr uint32_t kArpOperation = kPayload + 6;
constexpr uint32_t kArpSenderMac = kPayload + 8;
constexpr uint32_t kArpSender = kPayload + 14;
constexpr uint32_t kArpEnd = kPayload + 28;
constexpr uint32_t kIp6Next = kPayload + 6;
constexpr uint32_t kIp6Source = kPayload + 8;
constexpr uint32_t kIp6End = kPayload + 40;
constexpr uint32_t kNdpTarget = kIp6End + 8;

void Add(Program& program, int code, uint32_t k, size_t if_true = 0,
         size_t if_false = 0) {
  program.push_back({static_cast<uint16_t>(code), static_cast<uint8_t>(if_true),
                     static_cast<uint8_t>(if_false), k});
}
void Append(Program& program, const Program& more) {
  program.insert(program.end(), more.begin(), more.end());
}
void Return(Program& program, uint32_t verdict) {
  Add(program, BPF_RET | BPF_K, verdict);
}
void Load(Program& program, int size, uint32_t at) {
  Add(program, BPF_LD | BPF_ABS | size, at);
}
// The next instruction is run when what was loaded is `value`, else the one
// after it.
void IfEqual(Program& program, uint32_t value) {
  Add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}
void PassIf(Program& program, uint32_t value) {
  IfEqual(program, value);
  Return(program, kPass);
}
void DropIf(Program& program, uint32_t value) {
  IfEqual(program, value);
  Return(program, kDrop);
}
void DropUnless(Program& program, uint32_t value) {
  Add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
  Return(program, kDrop);
}
// A load behind a frame's end would end the program, and the frame pass.
void DropIfShorter(Program& program, uint32_t size) {
  Add(program, BPF_LD | BPF_W | BPF_LEN, 0);
  Add(program, BPF_JMP | BPF_JGE | BPF_K, size, 1, 0);
  Return(program, kDrop);
}

uint32_t Word(const Bytes& bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 |
         uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

void DropUnlessMac(Program& program, uint32_t at, const Bytes& mac) {
  Load(program, BPF_W, at);
  DropUnless(program, Word(mac, 0));
  Load(program, BPF_H, at + 4);
  DropUnless(program, uint32_t{mac[4]} << 8 | mac[5]);
}

// Runs `then`, one instruction, when the address at `at` is this one.
constexpr size_t kIfAddress6Size = 9;
void IfAddress6(Program& program, uint32_t at, const Bytes& address,
                const sock_filter& then) {
  for (uint32_t i = 0; i < 4; ++i) {
    Load(program, BPF_W, at + 4 * i);
    Add(program, BPF_JMP | BPF_JEQ | BPF_K, Word(address, size_t{4} * i), 0,
        7 - 2 * i);
  }
  program.push_back(then);
}

struct Guarded {
  Bytes mac;
  std::vector<Bytes> ip4;
  std::vector<Bytes> ip6;   // with the link-local one that the MAC makes
  bool by_address = false;  // else the MAC and the kind of frame count alone
};

Program JudgeIp4(const Guarded& pod) {
  Program out;
  DropIfShorter(out, kIp4End);
  if (!pod.by_address) Return(out, kPass);
  Load(out, BPF_W, kIp4Source);
  for (const Bytes& address : pod.ip4) PassIf(out, Word(address, 0));
  DropUnless(out, INADDR_ANY);
  // A DHCP client: the first fragment of UDP from 68 to 67, without options.
  DropIfShorter(out, kIp4End + 8);
  Load(out, BPF_B, kPayload);
  DropUnless(out, 0x45);
  Load(out, BPF_B, kIp4Protocol);
  DropUnless(out, IPPROTO_UDP);
  Load(out, BPF_H, kIp4Fragment);
  Add(out, BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 0, 1);
  Return(out, kDrop);
  Load(out, BPF_W, kIp4End);
  PassIf(out, uint32_t{68} << 16 | 67);
  Return(out, kDrop);
  return out;
}

Program JudgeArp(const Guarded& pod) {
  Program out;
  DropIfShorter(out, kArpEnd);
  Load(out, BPF_W, kPayload);  // Ethernet and IPv4, with addresses of 6 and 4
  DropUnless(out, uint32_t{1} << 16 | ETHERTYPE_IP);
  Load(out, BPF_H, kPayload + 4);
  DropUnless(out, 0x0604);
  DropUnlessMac(out, kArpSenderMac, pod.mac);
  if (!pod.by_address) Return(out, kPass);
  Load(out, BPF_W, kArpSender);
  for (const Bytes& address : pod.ip4) PassIf(out, Word(address, 0));
  DropUnless(out, INADDR_ANY);
  Load(out, BPF_H, kArpOperation);
  DropUnless(out, 1);
  Return(out, kPass);
  return out;
}

// Drops multicast listener messages that are none, in their hop-by-hop header.
Program CheckHopByHop() {
  Program out;
  DropIfShorter(out, kIp6End + 9);
  Load(out, BPF_H, kIp6End);  // ICMPv6 follows the shortest such header
  DropUnless(out, uint32_t{IPPROTO_ICMPV6} << 8);
  Load(out, BPF_B, kIp6End + 8);
  Add(out, BPF_JMP | BPF_JEQ | BPF_K, MLD_LISTENER_REPORT, 3, 0);
  Add(out, BPF_JMP | BPF_JEQ | BPF_K, MLD_LISTENER_REDUCTION, 2, 0);
  Add(out, BPF_JMP | BPF_JEQ | BPF_K, 143, 1, 0);  // MLDv2's report, RFC 3810
  Return(out, kDrop);
  return out;
}

// Drops an advertisement whose target is not the pod's.
Program CheckNeighborAdvertisement(const Guarded& pod) {
  Program out;
  DropIfShorter(out, kNdpTarget + 16);
  for (size_t i = 0; i < pod.ip6.size(); ++i) {
    const size_t behind = (pod.ip6.size() - i - 1) * kIfAddress6Size + 1;
    IfAddress6(out, kNdpTarget, pod.ip6[i],
               {BPF_JMP | BPF_JA, 0, 0, static_cast<uint32_t>(behind)});
  }
  Return(out, kDrop);
  return out;
}

// Runs `block` when what was loaded is `value`.
void When(Program& program, uint32_t value, const Program& block) {
  Add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
  Add(program, BPF_JMP | BPF_JA, static_cast<uint32_t>(block.size()));
  Append(program, block);
}

Program CheckIcmp6(const Guarded& pod) {
  Program out;
  DropIfShorter(out, kIp6End + 1);
  Load(out, BPF_B, kIp6End);
  DropIf(out, ND_ROUTER_ADVERT);
  DropIf(out, ND_REDIRECT);
  if (pod.by_address) {
    When(out, ND_NEIGHBOR_ADVERT, CheckNeighborAdvertisement(pod));
  }
  return out;
}

Program JudgeIp6(const Guarded& pod) {
  Program out;
  DropIfShorter(out, kIp6End);
  Load(out, BPF_B, kIp6Next);
  DropIf(out, IPPROTO_ROUTING);
  DropIf(out, IPPROTO_DSTOPTS);
  When(out, IPPROTO_HOPOPTS, CheckHopByHop());
  Load(out, BPF_B, kIp6Next);
  When(out, IPPROTO_ICMPV6, CheckIcmp6(pod));
  if (!pod.by_address) {
    Return(out, kPass);
    return out;
  }
  for (const Bytes& address : pod.ip6) {
    IfAddress6(out, kIp6Source, address, {BPF_RET | BPF_K, 0, 0, kPass});
  }
  for (uint32_t i = 0; i < 4; ++i) {
    Load(out, BPF_W, kIp6Source + 4 * i);
    DropUnless(out, 0);
  }
  Load(out, BPF_B, kIp6Next);
  PassIf(out, IPPROTO_HOPOPTS);
  DropUnless(out, IPPROTO_ICMPV6);
  Load(out, BPF_B, kIp6End);
  PassIf(out, ND_NEIGHBOR_SOLICIT);
  PassIf(out, ND_ROUTER_SOLICIT);
  Return(out, kDrop);
  return out;
}

absl::StatusOr<Bytes> ParseMac(absl::string_view text) {
  Bytes mac;
  for (const absl::string_view part : absl::StrSplit(text, ':')) {
    uint32_t byte = 0;
    if (part.size() != 2 || !absl::SimpleHexAtoi(part, &byte)) break;
    mac.push_back(static_cast<uint8_t>(byte));
  }
  if (mac.size() == ETH_ALEN && text.size() == size_t{3} * ETH_ALEN - 1) {
    return mac;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no hardware address"));
}

// RFC 4291, appendix A: what MirageOS, and others with it, gives itself.
Bytes LinkLocalOf(const Bytes& mac) {
  Bytes address = {0xfe, 0x80, 0, 0, 0, 0, 0, 0};
  address.insert(address.end(), {static_cast<uint8_t>(mac[0] ^ 2), mac[1],
                                 mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]});
  return address;
}

absl::Status AddAddress(const std::string& text, Guarded& pod) {
  std::array<uint8_t, sizeof(in6_addr)> bytes = {};
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
    pod.ip4.emplace_back(bytes.begin(), bytes.begin() + sizeof(in_addr));
    return absl::OkStatus();
  }
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
    pod.ip6.emplace_back(bytes.begin(), bytes.end());
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no IP address"));
}

}  // namespace

absl::StatusOr<Program> GuardProgram(
    absl::string_view mac, const std::vector<std::string>& addresses) {
  if (addresses.size() > kMaxGuardedAddresses) {
    return absl::InvalidArgumentError(
        absl::StrCat(addresses.size(), " addresses of one interface; at most ",
                     kMaxGuardedAddresses, " can be guarded"));
  }
  Guarded pod;
  ASSIGN_OR_RETURN(pod.mac, ParseMac(mac));
  for (const std::string& address : addresses) {
    RETURN_IF_ERROR(AddAddress(address, pod));
  }
  pod.by_address = !addresses.empty();
  pod.ip6.push_back(LinkLocalOf(pod.mac));
  Program out;
  DropIfShorter(out, kPayload);
  // The kernel has taken the tag off the frame by then.
  Load(out, BPF_W, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT));
  DropUnless(out, 0);
  DropUnlessMac(out, kSourceMac, pod.mac);
  Load(out, BPF_H, kType);
  When(out, ETHERTYPE_IP, JudgeIp4(pod));
  When(out, ETHERTYPE_ARP, JudgeArp(pod));
  When(out, ETHERTYPE_IPV6, JudgeIp6(pod));
  Return(out, kDrop);
  return out;
}

}  // namespace serai::host
