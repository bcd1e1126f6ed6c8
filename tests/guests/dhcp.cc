// SPDX-License-Identifier: Apache-2.0
// Asks for its address by DHCP, says what it got, and is an echo service over
// UDP. Its options say that it can't be told its address otherwise.

#include "tests/guests/net/dhcp_client.h"
#include "tests/guests/net/interface.h"
#include "tests/guests/net/udp_echo.h"
#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"));

namespace {

constexpr OptionSpec kOptions[] = {
    {"name", "what it is called"},
    {"port", "UDP port, 7 unless given"},
    {"request", "ADDRESS to ask for in place of the offered one"},
};

}  // namespace

int Main() {
  const Options options("dhcp", kOptions);
  const auto port = static_cast<uint16_t>(options.Number("port", 7, 65535));
  const auto wanted = ParseIpv4(options.Value("request").value_or("0.0.0.0"));
  if (!wanted.has_value()) options.Reject("request", "ADDRESS");
  const Device device = FindDevice("service", kNetDevice);
  const auto lease = AskForLease(device, 10 * kSecond, *wanted);
  if (!lease.has_value()) {
    Print("dhcp: nobody answers");
    return 1;
  }
  if (lease->address.value == 0) {
    Print("dhcp: refused by ", lease->server);
    return 2;
  }
  Print("dhcp: address ", lease->address, ", mask ", lease->mask, ", gateway ",
        lease->gateway, ", server ", lease->server, ", seconds ",
        lease->seconds, ", mtu ", lease->mtu, ", routes ", lease->routes,
        ", name '", std::string_view(lease->name, lease->name_size), "'");
  for (size_t i = 0; i < lease->dns_count; ++i) {
    Print("dhcp: name server ", lease->dns[i]);
  }
  Interface interface(device, {lease->address, {}});
  UdpEcho echo(interface, port);
  interface.Register(kProtocolUdp, &echo);
  interface.Announce();
  Print("dhcp: listening on udp://", lease->address, ":", port);
  while (true) {
    Poll(60 * kSecond);
    interface.Receive();
  }
}

}  // namespace serai::guest
