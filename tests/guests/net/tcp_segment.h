// SPDX-License-Identifier: Apache-2.0
#pragma once

// TCP segments on the wire (RFC 9293, 3.1).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tests/guests/net/interface.h"

namespace serai::guest {

enum TcpFlag : uint8_t {
  kFin = 0x01,
  kSyn = 0x02,
  kRst = 0x04,
  kPsh = 0x08,
  kAck = 0x10,
};

// a - b in sequence space.
inline int32_t Difference(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b);
}

struct TcpSegment {
  Station from;
  uint16_t from_port;
  uint16_t to_port;
  uint32_t sequence;
  uint32_t acknowledgement;
  uint8_t flags;
  uint16_t window;
  uint16_t max_segment_size;
  std::string_view data;  // not longer than the IP packet

  bool Has(TcpFlag flag) const { return (flags & flag) != 0; }
  // What it takes up in sequence space.
  uint32_t Length() const {
    return static_cast<uint32_t>(data.size()) + Has(kSyn) + Has(kFin);
  }
};

// nullopt for what is no segment, or has a wrong checksum (reported).
std::optional<TcpSegment> ParseTcp(Interface& interface, const Station& from,
                                   std::span<const std::byte> bytes);

struct TcpOutput {
  uint8_t flags;
  uint32_t sequence;
  uint32_t acknowledgement = 0;
  size_t window = 0;
  bool offers_max_segment_size = false;
  std::string_view data = {};
};

// What the largest segment may carry on this interface.
uint16_t MaxSegmentSize(const Interface& interface, const Station& peer);

void SendTcp(Interface& interface, const Station& to, uint16_t from_port,
             uint16_t to_port, const TcpOutput& output);

// The answer to a segment that belongs to no connection (RFC 9293, 3.5.2).
void SendReset(Interface& interface, const TcpSegment& segment);

}  // namespace serai::guest
