// SPDX-License-Identifier: Apache-2.0
#pragma once

// A TCP server (RFC 9293) for short requests and answers on one port: a fixed
// table of connections, segments in order only, a retransmission timer with
// doubling, no option but the maximum segment size, no TIME-WAIT. When the
// table is full, the connection that was quiet longest makes room, first of all
// one whose handshake was never completed.

#include "tests/guests/net/interface.h"
#include "tests/guests/net/tcp_connection.h"

namespace serai::guest {

class TcpServer final : public Protocol {
 public:
  // `interface` and `service` must outlive the server. One server per guest.
  TcpServer(Interface& interface, uint16_t port, Service& service);

  void Receive(const Station& from,
               std::span<const std::byte> segment) override;

  // Does what is due: sends again, gives up. Returns the nanoseconds until it
  // wants to be called again.
  uint64_t Tick();

  // Whether a peer has yet to acknowledge something.
  bool HasUnacknowledged() const;

 private:
  void Accept(const TcpSegment& syn);
  uint32_t FirstSequence(const TcpSegment& syn) const;

  Interface& interface_;
  Service& service_;
  uint16_t port_;
  uint64_t secret_;
};

}  // namespace serai::guest
