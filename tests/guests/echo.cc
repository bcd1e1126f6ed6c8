// SPDX-License-Identifier: Apache-2.0
// The echo service over UDP (RFC 862).

#include "tests/guests/net/bytes.h"
#include "tests/guests/net/checksum.h"
#include "tests/guests/net/interface.h"
#include "tests/guests/net/options.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"));

namespace {

constexpr OptionSpec kOptions[] = {
    kIpv4Option,
    kIpv4GatewayOption,
    kIpv4OnlyOption,
    kIpv6Option,
    kIpv6GatewayOption,
    kIpv6OnlyOption,
    {"port", "UDP port, 7 unless given"},
};

constexpr size_t kUdpHeader = 8;

class Echo final : public Protocol {
 public:
  Echo(Interface& interface, uint16_t port)
      : interface_(interface), port_(port) {}

  void Receive(const Station& from,
               std::span<const std::byte> datagram) override {
    if (datagram.size() < kUdpHeader) return;
    const std::byte* const data = datagram.data();
    const size_t size = Get16(data + 4);
    if (size < kUdpHeader || size > datagram.size() ||
        Get16(data + 2) != port_) {
      return;
    }
    // A checksum of 0 is one that the sender left out.
    if (Get16(data + 6) != 0 &&
        TransportChecksum(from.address, interface_.AddressFor(from),
                          kProtocolUdp, data, size) != 0) {
      interface_.ReportBadChecksum("UDP", from.address);
      return;
    }
    const uint16_t peer_port = Get16(data);
    // Two echo services would talk to each other for ever.
    if (peer_port == port_) return;
    std::byte* const reply = interface_.segment();
    __builtin_memcpy(reply, data, size);
    Put16(reply, port_);
    Put16(reply + 2, peer_port);
    Put16(reply + 4, static_cast<uint16_t>(size));
    Put16(reply + 6, 0);
    const uint16_t checksum = TransportChecksum(
        interface_.AddressFor(from), from.address, kProtocolUdp, reply, size);
    Put16(reply + 6, checksum == 0 ? uint16_t{0xffff} : checksum);
    interface_.Send(from, kProtocolUdp, size);
  }

 private:
  Interface& interface_;
  uint16_t port_;
};

}  // namespace

int Main() {
  const Options options("echo", kOptions);
  const Addresses addresses = ReadNetworkOptions("echo", options);
  const auto port = static_cast<uint16_t>(options.Number("port", 7, 65535));
  Interface interface(FindDevice("service", kNetDevice), addresses);
  Echo echo(interface, port);
  interface.Register(kProtocolUdp, &echo);
  interface.Announce();
  for (const IpAddress& address : List(addresses)) {
    Print("echo: listening on udp://", Host{address}, ":", port);
  }
  while (true) {
    Poll(60 * kSecond);
    interface.Receive();
  }
}

}  // namespace serai::guest
