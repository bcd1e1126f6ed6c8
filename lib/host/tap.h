// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's side of a pod's network: a persistent tap in the pod's network
// namespace, to which everything that arrives at the pod's interface is
// redirected, and back (tc ingress, u32 match-all, mirred). The guest takes
// over the interface's hardware address; the interface keeps its addresses,
// which nobody uses, for the CNI plugins that look there. What the guest sends
// under another's address is dropped (lib/host/tap_guard.h). Any thread.

#include <cstddef>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::host {

struct TapSpec {
  std::string interface = "eth0";  // the interface the guest takes over
  std::string tap = "serai0";      // name of the tap to make
  // The pod's on that interface, which the guest may send from. None: any.
  std::vector<std::string> addresses = {};
  // Whose the tap is, as its alias: what has another is not removed. Empty:
  // the caller's, who makes and removes it.
  std::string owner = {};
  // Others have taps at the interface too: nothing is redirected to this one or
  // from it, which is Steer()'s (lib/host/steering.h).
  bool shared = false;
};

// The name of the tap for the pod's interface of that number, from 0.
std::string TapName(size_t number);

// What the guest is to be told of its interface.
struct Tap {
  std::string mac;  // the interface's, "aa:bb:cc:dd:ee:ff"
  int mtu = 0;      // the interface's and the tap's, bytes
  int index = 0;    // the tap's: with its name, which one it is
};

// Makes and wires the tap in the namespace that `netns_fd` refers to and brings
// both ends up. Open it with IFF_TAP | IFF_NO_PI. A reader sees whole frames of
// at most mtu + 14 bytes with valid checksums. On failure nothing stays.
// NOT_FOUND when there is no such interface, ALREADY_EXISTS when there is a
// link of the tap's name or the interface is redirected already,
// INVALID_ARGUMENT for a bad name or an interface that is not Ethernet;
// FAILED_PRECONDITION for one without ARP, as those of ipvlan's layer 3 modes
// are: a guest finds its gateway by it.
absl::StatusOr<Tap> CreateTap(int netns_fd, const TapSpec& spec);

// A tap with an owner that stands: wired to the interface both ways, and
// guarded. Its name is put into `spec`. NOT_FOUND when there is none,
// FAILED_PRECONDITION when there is one that does not stand.
absl::StatusOr<Tap> FindTap(int netns_fd, TapSpec& spec);

// The same for who is not its owner and wants to use it: its guard is set anew,
// for `spec`'s addresses. FAILED_PRECONDITION also when somebody has it open.
absl::StatusOr<Tap> AdoptTap(int netns_fd, TapSpec& spec);

// Removes the tap and the redirection to it. What is not there is success; so
// is a tap with another owner or, when `index` is not 0, another index, which
// is left alone. An ingress qdisc without filters stays on the interface.
// FAILED_PRECONDITION when the link of the tap's name is no tap.
absl::Status RemoveTap(int netns_fd, const TapSpec& spec, int index = 0);

// The same for a tap that nobody has open: what someone who died has left.
// FAILED_PRECONDITION when somebody has; nothing is changed then.
absl::Status RemoveIdleTap(int netns_fd, const TapSpec& spec);

}  // namespace serai::host
