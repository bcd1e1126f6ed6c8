// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/options.h"

#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

Addresses ReadNetworkOptions(std::string_view program, const Options& options) {
  Addresses addresses;
  if (const auto text = options.Value("ipv4"); text.has_value()) {
    addresses.ipv4 = ParseIpv4WithPrefix(*text);
    if (!addresses.ipv4.has_value()) options.Reject("ipv4", "ADDRESS/PREFIX");
  }
  if (const auto text = options.Value("ipv6"); text.has_value()) {
    addresses.ipv6 = ParseIpv6WithPrefix(*text);
    if (!addresses.ipv6.has_value()) options.Reject("ipv6", "ADDRESS/PREFIX");
  }
  const auto gateway = options.Value("ipv4-gateway");
  if (gateway.has_value() && !ParseIpv4(*gateway).has_value()) {
    options.Reject("ipv4-gateway", "ADDRESS");
  }
  const auto gateway6 = options.Value("ipv6-gateway");
  if (gateway6.has_value() && !ParseIpv6(*gateway6).has_value()) {
    options.Reject("ipv6-gateway", "ADDRESS");
  }
  if (options.Flag("ipv4-only")) addresses.ipv6.reset();
  if (options.Flag("ipv6-only")) addresses.ipv4.reset();
  if (!addresses.ipv4.has_value() && !addresses.ipv6.has_value()) {
    Print(program,
          ": --ipv4=ADDRESS/PREFIX or --ipv6=ADDRESS/PREFIX is "
          "required");
    Exit(kExitUsage);
  }
  return addresses;
}

}  // namespace serai::guest
