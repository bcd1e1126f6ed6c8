// SPDX-License-Identifier: Apache-2.0
// The echo service over UDP (RFC 862).

#include "tests/guests/net/interface.h"
#include "tests/guests/net/options.h"
#include "tests/guests/net/udp_echo.h"
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

}  // namespace

int Main() {
  const Options options("echo", kOptions);
  const Addresses addresses = ReadNetworkOptions("echo", options);
  const auto port = static_cast<uint16_t>(options.Number("port", 7, 65535));
  Interface interface(FindDevice("service", kNetDevice), addresses);
  UdpEcho echo(interface, port);
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
