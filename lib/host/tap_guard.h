// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guard on a tap: frames of the guest's that bear another's address are
// dropped and counted, before anything else sees them. lib/host/guard_program.h
// has the rules.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"

struct nl_sock;  // libnl's

namespace serai::host {

struct GuardSpec {
  std::string mac;
  std::vector<std::string> addresses = {};  // none: any; the MAC alone counts
};

// Puts the guard on a link that has an ingress qdisc, in place of one that is
// there. FAILED_PRECONDITION when the kernel has no classifier for it.
absl::Status SetGuard(nl_sock* socket, int index, const GuardSpec& spec);

// The frames that the link's ingress qdisc has dropped: the guard's, for there
// is nothing else to drop any.
absl::StatusOr<uint64_t> ForgedFrames(nl_sock* socket, int index);

// The same of the link `name` in the namespace that `netns_fd` refers to; the
// caller's own when it is -1. NOT_FOUND when there is no such link. Any thread.
absl::StatusOr<uint64_t> ReadForgedFrames(int netns_fd,
                                          const std::string& name);

}  // namespace serai::host
