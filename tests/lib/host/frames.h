// SPDX-License-Identifier: Apache-2.0
#pragma once

// Ethernet frames by hand, right or forged, as a guest might send them.

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace serai::testing {

inline constexpr char kPodMac[] = "02:11:22:33:44:55";
inline constexpr char kOtherMac[] = "02:11:22:33:44:56";
inline constexpr char kPodLinkLocal[] = "fe80::11:22ff:fe33:4455";

inline std::string MacBytes(const std::string& mac) {
  return absl::HexStringToBytes(absl::StrReplaceAll(mac, {{":", ""}}));
}

inline std::string AddressBytes(const std::string& address) {
  std::string bytes(address.find(':') == std::string::npos ? 4 : 16, '\0');
  ::inet_pton(bytes.size() == 4 ? AF_INET : AF_INET6, address.c_str(),
              bytes.data());
  return bytes;
}

inline std::string Big16(size_t value) {
  return {static_cast<char>(value >> 8 & 0xff),
          static_cast<char>(value & 0xff)};
}

inline std::string EthernetFrame(const std::string& source, size_t type,
                                 const std::string& payload) {
  return absl::StrCat(std::string(6, '\xff'), MacBytes(source), Big16(type),
                      payload);
}

// A UDP packet, unless `protocol` is another.
inline std::string Ip4Frame(const std::string& mac, const std::string& source,
                            size_t from_port = 5000, size_t to_port = 9,
                            char protocol = 17, size_t fragment = 0) {
  const std::string body =
      absl::StrCat(Big16(from_port), Big16(to_port), Big16(8), Big16(0));
  return EthernetFrame(
      mac, 0x0800,
      absl::StrCat(absl::HexStringToBytes("4500001c0001"), Big16(fragment),
                   "\x40", std::string(1, protocol), Big16(0),
                   AddressBytes(source), AddressBytes("10.77.0.1"), body));
}

inline std::string ArpFrame(const std::string& mac,
                            const std::string& sender_mac,
                            const std::string& sender, size_t operation) {
  return EthernetFrame(
      mac, 0x0806,
      absl::StrCat(absl::HexStringToBytes("000108000604"), Big16(operation),
                   MacBytes(sender_mac), AddressBytes(sender),
                   std::string(6, '\0'), AddressBytes("10.77.0.1")));
}

inline std::string Ip6Frame(const std::string& mac, const std::string& source,
                            char next, const std::string& body) {
  return EthernetFrame(
      mac, 0x86dd,
      absl::StrCat(absl::HexStringToBytes("60000000"), Big16(body.size()),
                   std::string(1, next), "\xff", AddressBytes(source),
                   AddressBytes("ff02::1"), body));
}

// An NDP message; its target is of solicitations and advertisements.
inline std::string NdpFrame(const std::string& source, int type,
                            const std::string& target) {
  return Ip6Frame(kPodMac, source, 58,
                  absl::StrCat(std::string(1, static_cast<char>(type)),
                               std::string(7, '\0'), AddressBytes(target)));
}

}  // namespace serai::testing
