// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a MirageOS unikernel is told of its network: `--ipv4=ADDR/PREFIX
// --ipv4-gateway=GW` and `--ipv6=…` likewise. Keys of a device that is not
// called "service" carry its name: `--management-ipv4=…`.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::guest {

inline constexpr char kPodAnnotationNetworkArgs[] = "serai.dev/network-args";

// An address of the pod's interface, and its family's way out.
struct NetworkAddress {
  std::string address;  // "10.0.0.2" or "fd00::2"
  uint32_t prefix_length = 0;
  std::string gateway;  // empty: none

  bool operator==(const NetworkAddress&) const = default;
};

// Whether the pod wants network arguments: its annotation is "mirage" or not
// there, against "none". INVALID_ARGUMENT for another value.
absl::StatusOr<bool> WantsNetworkArgs(
    const std::map<std::string, std::string>& annotations);

// The arguments for `device` in a network with these addresses. A key that
// stands in `user_args` already, in any form ("--ipv4=…" or "--ipv4" alone), is
// left to the user: address and gateway of a family go together.
std::vector<std::string> NetworkArgs(
    const std::vector<NetworkAddress>& addresses, absl::string_view device,
    const std::vector<std::string>& user_args);

// A network device of a guest's, and the addresses of the interface it has.
struct DeviceNetwork {
  std::string device;
  std::vector<NetworkAddress> addresses;
};

// All arguments of a guest: those for its network devices, then the user's.
std::vector<std::string> WithNetworkArgs(
    const std::vector<DeviceNetwork>& networks,
    const std::vector<std::string>& user_args);

}  // namespace serai::guest
