// SPDX-License-Identifier: Apache-2.0
#pragma once

// The link that stands in a pod's namespace for a tap on the node
// (lib/host/node_tap.h): it has the interface's name, the guest's MAC, its
// addresses and routes, so that whoever looks at the pod finds them, and no
// traffic. It is a tap that nobody opens, for those are in every kernel that
// has guests. Its alias names the tap on the node. Any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/host/address.h"

namespace serai::host {

struct Placeholder {
  std::string interface;  // its name, such as "eth0"
  std::string tap;        // the node's
  std::string mac;
  uint32_t mtu = 0;
  std::vector<LinkAddress> addresses;
  std::vector<LinkRoute> routes;
};

// Makes it in the namespace that `netns_fd` refers to. On failure nothing
// stays. ALREADY_EXISTS when there is a link of the name.
absl::Status CreatePlaceholder(int netns_fd, const Placeholder& placeholder);

// NOT_FOUND when there is no link of the name that is a placeholder.
absl::StatusOr<Placeholder> ReadPlaceholder(int netns_fd,
                                            const std::string& interface);

// What is not there, or is no placeholder, is success.
absl::Status RemovePlaceholder(int netns_fd, const std::string& interface);

}  // namespace serai::host
