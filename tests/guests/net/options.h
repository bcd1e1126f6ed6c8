// SPDX-License-Identifier: Apache-2.0
#pragma once

// The network options that every guest with an address takes, as MirageOS names
// them.

#include <string_view>

#include "tests/guests/net/interface.h"
#include "tests/guests/runtime/arguments.h"

namespace serai::guest {

inline constexpr OptionSpec kIpv4Option = {
    "ipv4", "ADDRESS/PREFIX of this guest (this or --ipv6 is required)"};
inline constexpr OptionSpec kIpv4GatewayOption = {
    "ipv4-gateway", "ADDRESS; checked, answers go where requests came from"};
inline constexpr OptionSpec kIpv4OnlyOption = {
    "ipv4-only", "true or false; --ipv6 does not count then"};
inline constexpr OptionSpec kIpv6Option = {"ipv6",
                                           "ADDRESS/PREFIX of this guest"};
inline constexpr OptionSpec kIpv6GatewayOption = {
    "ipv6-gateway", "ADDRESS; checked, answers go where requests came from"};
inline constexpr OptionSpec kIpv6OnlyOption = {
    "ipv6-only", "true or false; --ipv4 does not count then"};

// The values of --ipv4 and --ipv6, after a check of the other ones. Exits with
// kExitUsage when one is wrong, or both are missing.
Addresses ReadNetworkOptions(std::string_view program, const Options& options);

}  // namespace serai::guest
