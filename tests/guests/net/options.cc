// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/options.h"

#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

Ipv4Address ReadNetworkOptions(std::string_view program,
                               const Options& options) {
  const auto text = options.Value("ipv4");
  if (!text.has_value()) {
    Print(program, ": --ipv4=ADDRESS/PREFIX is required");
    Exit(kExitUsage);
  }
  const auto address = ParseIpv4WithPrefix(*text);
  if (!address.has_value()) options.Reject("ipv4", "ADDRESS/PREFIX");
  const auto gateway = options.Value("ipv4-gateway");
  if (gateway.has_value() && !ParseIpv4(*gateway).has_value()) {
    options.Reject("ipv4-gateway", "ADDRESS");
  }
  (void)options.Flag("ipv4-only");
  return *address;
}

}  // namespace serai::guest
