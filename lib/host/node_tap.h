// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest's tap straight on a bridge, in the calling thread's network
// namespace, the node's: no veth pair and no redirect between the guest and the
// bridge. The guard (lib/host/tap_guard.h) is on it. Any thread.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/host/address.h"
#include "lib/host/tap_guard.h"
#include "lib/host/tap_owner.h"

namespace serai::host {

struct BridgeSpec {
  std::string name;
  uint32_t mtu = 0;  // 0: the kernel's
  bool promiscuous = false;
  std::vector<LinkAddress> addresses = {};  // the pods' gateways
};

struct NodeTapSpec {
  std::string name;
  TapOwner owner;
  uint32_t mtu = 0;  // 0: the bridge's
  bool hairpin = false;
  GuardSpec guard;  // of the guest's end
};

// What was made, for others to be told.
struct NodeTap {
  std::string mac;
  uint32_t mtu = 0;
  std::string bridge_mac;
};

// Makes the tap a port of the bridge, which is made where it is missing, gets
// the addresses that it lacks, and is never removed. On failure no tap stays.
// ALREADY_EXISTS when there is a link of the tap's name, FAILED_PRECONDITION
// when there is one of the bridge's that is no bridge.
absl::StatusOr<NodeTap> CreateNodeTap(const BridgeSpec& bridge,
                                      const NodeTapSpec& spec);

// The tap of that name and owner on that bridge. NOT_FOUND when there is none,
// FAILED_PRECONDITION when it is another's, or of another bridge.
absl::StatusOr<NodeTap> FindNodeTap(const std::string& bridge,
                                    const std::string& name,
                                    const TapOwner& owner);

// What is not there, or is another owner's, is success.
absl::Status RemoveNodeTap(const std::string& name, const TapOwner& owner);

// The taps with an owner, by their names.
absl::StatusOr<std::vector<std::pair<std::string, TapOwner>>> ListNodeTaps();

}  // namespace serai::host
