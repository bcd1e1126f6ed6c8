// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a unikernel is started from: its file and its devices, opened while the
// shim may open things, and handed to the tender, which opens nothing.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/runtime_spec.h"
#include "lib/solo5/abi.h"
#include "shim/snapshot.h"

namespace serai::shim {

struct Guest {
  solo5::Target target = solo5::Target::kSpt;
  uint64_t memory_mib = 0;  // 0: the tender's default
  UniqueFd kernel;
  UniqueFd kvm;                   // hvt only
  UniqueFd netns;                 // invalid: the shim's own
  std::vector<UniqueFd> devices;  // as spec.devices
  // As spec.devices: for those with a lease, of dhcp_responder.h.
  std::vector<UniqueFd> dhcp;
  SnapshotFiles snapshot;  // to go on from; invalid: none
};

// Opens everything that `spec`, which is complete, names. The unikernel's path
// is resolved inside the directory `root`: no symbolic link leads out of it.
// Every device of the unikernel's manifest must be attached, and nothing else.
// Errors name the file or device: INVALID_ARGUMENT where the image or the
// specification is at fault, FAILED_PRECONDITION where this machine lacks
// something (/dev/kvm). Nothing is left behind but what the result owns.
//
// Enters the pod's network namespace for a moment, and the node's,
// `node_netns`, when there are taps in it: for a program with one thread.
absl::StatusOr<Guest> OpenGuest(const oci::RuntimeSpec& spec, int root,
                                int node_netns);

// Whether one of its taps is in the node's network namespace.
bool HasTapOnNode(const oci::RuntimeSpec& spec);

}  // namespace serai::shim
