// SPDX-License-Identifier: Apache-2.0
// Wants two net devices and says what it got.

#include "tests/guests/net/address.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"), NetDevice("management"));

int Main() {
  for (const std::string_view name : {"service", "management"}) {
    const Device device = FindDevice(name, kNetDevice);
    MacAddress mac;
    __builtin_memcpy(mac.bytes, device.mac, sizeof(mac.bytes));
    Print(name, ": handle ", device.handle, ", MAC ", mac, ", MTU ",
          device.mtu);
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
