// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a container's specification, as containerd writes it, to a guest's, as
// seraid would have written it: which file of the root is the unikernel, how
// much memory it has, what its devices are attached to, what it is told of its
// network. The rules are lib/guest's, the same for both.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/oci/runtime_spec.h"
#include "shim/state_file.h"

namespace serai::shim {

struct CompletedSpec {
  oci::RuntimeSpec spec;
  // What was made in the pod's network namespace; RemoveTap() (pod_network.h)
  // takes it away again.
  std::vector<RecordedTap> taps;
  std::vector<std::string> notes;  // for people: what of the pod is not used
};

// Completes `spec`, which is not complete; `root` is the container's root
// What a container is, beside its specification.
struct SpecSources {
  int root = -1;       // its root directory
  std::string bundle;  // where images of volumes are made (kImagesInBundle)
  std::string tender;  // the program that asks its unikernel for its options
};

// Completes `spec`, which is not complete. INVALID_ARGUMENT and
// FAILED_PRECONDITION with a sentence for the pod's author. On failure nothing
// is left.
//
// Works in a child, for some milliseconds and 20 seconds at most: what is read
// is an image's, and libnl has no place in the shim's memory. For a program
// with one thread.
absl::StatusOr<CompletedSpec> CompleteSpec(const oci::RuntimeSpec& spec,
                                           const SpecSources& sources);

// Removes the images of volumes in a bundle. None there is success.
absl::Status RemoveImages(const std::string& bundle);

}  // namespace serai::shim
