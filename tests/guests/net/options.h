// SPDX-License-Identifier: Apache-2.0
#pragma once

// The network options that every guest with an address takes, as MirageOS names
// them.

#include <string_view>

#include "tests/guests/net/address.h"
#include "tests/guests/runtime/arguments.h"

namespace serai::guest {

inline constexpr OptionSpec kIpv4Option = {
    "ipv4", "ADDRESS/PREFIX of this guest (required)"};
inline constexpr OptionSpec kIpv4GatewayOption = {
    "ipv4-gateway", "ADDRESS; checked, answers go where requests came from"};
inline constexpr OptionSpec kIpv4OnlyOption = {
    "ipv4-only", "true or false; this guest speaks nothing but IPv4"};
inline constexpr OptionSpec kIpv6Option = {"ipv6", "accepted and not used"};
inline constexpr OptionSpec kIpv6GatewayOption = {"ipv6-gateway",
                                                  "accepted and not used"};

// The value of --ipv4, after a check of the other ones. Exits with kExitUsage
// when one is missing or wrong.
Ipv4Address ReadNetworkOptions(std::string_view program,
                               const Options& options);

}  // namespace serai::guest
