// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/testing/wire.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/guests/testing/guest_network.h"

namespace serai::testing {
namespace {

constexpr uint32_t kGuest = 0x0a630002;
constexpr uint8_t kTcp = 6;
constexpr uint16_t kHttpPort = 80;
constexpr size_t kEthernetHeader = 14;
constexpr size_t kHeaders = kEthernetHeader + 20 + 20;

std::string Big16(uint32_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string Big32(uint32_t value) {
  return Big16(value >> 16) + Big16(value & 0xffff);
}

uint32_t Get(absl::string_view data, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<uint8_t>(data[at + i]);
  }
  return value;
}

uint16_t Checksum(absl::string_view data) {
  uint32_t sum = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    const uint32_t byte = static_cast<uint8_t>(data[i]);
    sum += i % 2 == 0 ? byte << 8 : byte;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

std::string Frame(uint16_t type, absl::string_view payload) {
  return absl::StrCat(std::string("\x02\0\0\0\0\x02", 6),
                      std::string("\x02\0\0\0\0\x77", 6), Big16(type), payload);
}

std::string Packet(uint32_t source, uint8_t protocol,
                   absl::string_view payload) {
  const auto header = [&](uint32_t checksum) {
    return absl::StrCat(Big16(0x4500),
                        Big16(static_cast<uint32_t>(payload.size()) + 20),
                        Big32(0), Big16(0x4000U | protocol), Big16(checksum),
                        Big32(source), Big32(kGuest));
  };
  return Frame(ETH_P_IP, absl::StrCat(header(Checksum(header(0))), payload));
}

std::string Segment(uint32_t source, const HandmadeSegment& segment) {
  const auto bytes = [&](uint32_t checksum) {
    return absl::StrCat(Big16(segment.port), Big16(kHttpPort),
                        Big32(segment.sequence), Big32(segment.acknowledgement),
                        Big16(0x5000U | segment.flags), Big16(segment.window),
                        Big16(checksum), Big16(0), segment.data);
  };
  const uint32_t size = static_cast<uint32_t>(segment.data.size()) + 20;
  const std::string pseudo_header =
      absl::StrCat(Big32(source), Big32(kGuest), Big16(kTcp), Big16(size));
  return Packet(source, kTcp,
                bytes(Checksum(absl::StrCat(pseudo_header, bytes(0)))));
}

Wire::Wire()
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       htons(ETH_P_ALL))) {
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(kGuestTap));
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)),
            0);
}

void Wire::Send(absl::string_view frame) {
  // The kernel refuses some of the malformed ones itself.
  (void)::send(socket_.get(), frame.data(), frame.size(), 0);
}

std::optional<HandmadeSegment> Wire::Receive(uint16_t port,
                                             absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const auto left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left < 0) return std::nullopt;
    pollfd ready = {socket_.get(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(left) + 1);
    std::array<char, 2048> buffer;
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < static_cast<ssize_t>(kHeaders)) continue;
    const absl::string_view frame(buffer.data(), static_cast<size_t>(size));
    if (Get(frame, 12, 2) != ETH_P_IP || Get(frame, 23, 1) != kTcp ||
        Get(frame, 26, 4) != kGuest || Get(frame, 30, 4) != kHandmadeStation ||
        Get(frame, 36, 2) != port) {
      continue;
    }
    const size_t end = kEthernetHeader + Get(frame, 16, 2);
    const size_t data = 34 + Get(frame, 46, 1) / 16 * 4;
    HandmadeSegment segment;
    segment.port = port;
    segment.sequence = Get(frame, 38, 4);
    segment.acknowledgement = Get(frame, 42, 4);
    segment.flags = static_cast<uint8_t>(Get(frame, 47, 1));
    segment.window = static_cast<uint16_t>(Get(frame, 48, 2));
    segment.data = std::string(frame.substr(data, end - data));
    return segment;
  }
}

}  // namespace serai::testing
