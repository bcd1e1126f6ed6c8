// SPDX-License-Identifier: Apache-2.0
#pragma once

// The little of a bundle's config.json that `start` and `delete` need: without
// what makes a specification complete, for a sandbox's has no unikernel, and a
// bundle that is to be cleaned up may have any fault.

#include <string>

#include "lib/base/status.h"

namespace serai::shim {

struct BundleNotes {
  bool has_config = false;
  // The id of the pod's sandbox, whose shim serves this container as well;
  // empty: it has a shim of its own.
  std::string group;
  std::string cgroups_path;  // empty: none
};

// A bundle without config.json has no notes. INVALID_ARGUMENT for one that is
// not a JSON object, or that names a group that is no id.
absl::StatusOr<BundleNotes> ReadBundleNotes(const std::string& bundle);

}  // namespace serai::shim
