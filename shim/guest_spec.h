// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a container's specification, as containerd writes it, to a guest's, as
// seraid would have written it: which file of the root is the unikernel, how
// much memory it has, what its devices are attached to, what it is told of its
// network. The rules are lib/guest's, the same for both.

#include <optional>
#include <string>

#include "lib/base/status.h"
#include "lib/oci/runtime_spec.h"
#include "shim/state_file.h"

namespace serai::shim {

struct CompletedSpec {
  oci::RuntimeSpec spec;
  // What was made in the pod's network namespace; RemoveTap() (pod_network.h)
  // takes it away again.
  std::optional<RecordedTap> tap;
};

// Completes `spec`, which is not complete; `root` is the container's root
// directory, `tender` the program that runs its unikernel to ask it for its
// options. INVALID_ARGUMENT and FAILED_PRECONDITION with a sentence for the
// pod's author. On failure nothing is left.
//
// Works in a child, for some milliseconds and 20 seconds at most: what is read
// is an image's, and libnl has no place in the shim's memory. For a program
// with one thread.
absl::StatusOr<CompletedSpec> CompleteSpec(const oci::RuntimeSpec& spec,
                                           int root, const std::string& tender);

}  // namespace serai::shim
