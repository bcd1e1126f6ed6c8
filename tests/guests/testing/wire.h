// SPDX-License-Identifier: Apache-2.0
#pragma once

// Frames put on the guest's wire as they are, right or wrong, and a station of
// the test's own (10.99.0.77) that speaks TCP by hand.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

inline constexpr uint32_t kHandmadeStation = 0x0a63004d;

// An Ethernet frame to the guest.
std::string Frame(uint16_t type, absl::string_view payload);
// An IPv4 packet to the guest, checksum and lengths right.
std::string Packet(uint32_t source, uint8_t protocol,
                   absl::string_view payload);

struct HandmadeSegment {
  uint16_t port = 0;  // the station's
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  uint8_t flags = 0;
  uint16_t window = 65535;
  std::string data = {};
};
inline constexpr uint8_t kTcpFin = 1;
inline constexpr uint8_t kTcpSyn = 2;
inline constexpr uint8_t kTcpRst = 4;
inline constexpr uint8_t kTcpAck = 16;

// A TCP segment to port 80 of the guest.
std::string Segment(uint32_t source, const HandmadeSegment& segment);

class Wire {
 public:
  Wire();

  void Send(absl::string_view frame);
  // The next TCP segment from the guest to kHandmadeStation's `port`.
  std::optional<HandmadeSegment> Receive(uint16_t port, absl::Duration timeout);

 private:
  UniqueFd socket_;
};

}  // namespace serai::testing
