// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/network_args.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace serai::guest {
namespace {

bool Gives(const std::vector<std::string>& args, const std::string& key) {
  return std::any_of(args.begin(), args.end(), [&](const std::string& arg) {
    return arg == key || absl::StartsWith(arg, key + "=");
  });
}

}  // namespace

absl::StatusOr<bool> WantsNetworkArgs(
    const std::map<std::string, std::string>& annotations) {
  const auto annotation = annotations.find(kPodAnnotationNetworkArgs);
  if (annotation == annotations.end()) return true;
  if (annotation->second == "mirage") return true;
  if (annotation->second == "none") return false;
  return absl::InvalidArgumentError(absl::StrCat(
      "annotation ", kPodAnnotationNetworkArgs, " is \"", annotation->second,
      "\"; it can be \"mirage\" (the default) or \"none\""));
}

std::vector<std::string> NetworkArgs(
    const std::vector<NetworkAddress>& addresses, absl::string_view device,
    const std::vector<std::string>& user_args) {
  const std::string prefix =
      device == "service" ? "--" : absl::StrCat("--", device, "-");
  std::vector<std::string> args;
  for (const bool ipv6 : {false, true}) {
    const std::string key = absl::StrCat(prefix, ipv6 ? "ipv6" : "ipv4");
    const std::string gateway_key = key + "-gateway";
    if (Gives(user_args, key) || Gives(user_args, gateway_key)) continue;
    // A guest has one address of a family: the first, which is the pod's own.
    const auto address =
        std::find_if(addresses.begin(), addresses.end(),
                     [&](const NetworkAddress& candidate) {
                       return absl::StrContains(candidate.address, ':') == ipv6;
                     });
    if (address == addresses.end()) continue;
    args.push_back(
        absl::StrCat(key, "=", address->address, "/", address->prefix_length));
    if (!address->gateway.empty()) {
      args.push_back(absl::StrCat(gateway_key, "=", address->gateway));
    }
  }
  return args;
}

std::vector<std::string> WithNetworkArgs(
    const std::vector<DeviceNetwork>& networks,
    const std::vector<std::string>& user_args) {
  std::vector<std::string> args;
  for (const DeviceNetwork& network : networks) {
    const std::vector<std::string> more =
        NetworkArgs(network.addresses, network.device, user_args);
    args.insert(args.end(), more.begin(), more.end());
  }
  args.insert(args.end(), user_args.begin(), user_args.end());
  return args;
}

}  // namespace serai::guest
