// SPDX-License-Identifier: Apache-2.0
#pragma once

// The echo service over UDP (RFC 862).

#include "tests/guests/net/interface.h"

namespace serai::guest {

class UdpEcho final : public Protocol {
 public:
  UdpEcho(Interface& interface, uint16_t port)
      : interface_(interface), port_(port) {}

  void Receive(const Station& from,
               std::span<const std::byte> datagram) override;

 private:
  Interface& interface_;
  uint16_t port_;
};

}  // namespace serai::guest
