// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a container's configuration to the OCI config.json that its shim reads:
// which file is the unikernel, what it is told, what it is given.

#include <functional>
#include <string>
#include <vector>

#include "cri/config/config.h"
#include "cri/image/image.h"
#include "lib/base/status.h"
#include "lib/guest/node_targets.h"
#include "lib/oci/runtime_spec.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

class OptionsCache;

struct BundleInput {
  const state::v1::PodRecord& pod;
  const runtime::v1::ContainerConfig& container;
  const Image& image;
  const HandlerConfig& handler;
  std::string cgroup;     // as the shim is told (cri/cgroup/place.h)
  std::string directory;  // the bundle's, which may not be there yet
  // Makes a tar of a mount that is an image, and gives its path.
  std::function<absl::StatusOr<std::string>(const runtime::v1::Mount&)>
      image_volume;
  guest::NodeTargets node;
  OptionsCache& options;
};

struct Bundle {
  oci::RuntimeSpec spec;
  std::string unikernel;           // path in the image
  std::string target;              // "hvt" or "spt"
  std::vector<std::string> taps;   // of the pod's, that are devices now
  std::vector<std::string> notes;  // for people: what of the pod is not used
};

// INVALID_ARGUMENT and FAILED_PRECONDITION with a sentence for the pod's
// author: no unikernel, nothing to attach to a device, too little memory. May
// make images of volumes in the directory, also when it fails: RemoveBundle().
absl::StatusOr<Bundle> MakeBundle(const BundleInput& input);

// Gives the guest of a bundle that was not started yet the memory, and the
// cgroup the limits, that the container's configuration has now. Errors as
// MakeBundle().
absl::Status Resize(const state::v1::ContainerRecord& container,
                    const HandlerConfig& handler,
                    const guest::NodeTargets& node, oci::RuntimeSpec& spec);

// Writes `spec` as `directory`/config.json; makes the directory. On failure
// nothing stays.
absl::Status WriteBundle(const std::string& directory,
                         const oci::RuntimeSpec& spec);

// The specification in it.
absl::StatusOr<oci::RuntimeSpec> ReadBundle(const std::string& directory);

// Removes it, and what a shim that was killed has left mounted in it. One that
// is not there is success.
absl::Status RemoveBundle(const std::string& directory);

}  // namespace serai::cri
