// SPDX-License-Identifier: Apache-2.0
#pragma once

// The commands of CNI's, in the two forms of the plugin: chained behind a
// plugin that has made the pod's interface, or making that interface itself.

#include <string>

#include "cni/tap_plugin/request.h"
#include "lib/base/unique_fd.h"

namespace serai::tap_plugin {

// What is printed for a command that is asked as `environment` and `stdin` say.
// The status carries the specification's code.
absl::StatusOr<std::string> Run(const Environment& environment,
                                const std::string& input);

// Whether there is no namespace any more: none is told of, nothing is at its
// path, or what its runtime has unmounted already.
bool PodIsGone(const Environment& environment);
// The pod's namespace, which is another than the plugin's own.
absl::StatusOr<UniqueFd> OpenPod(const Environment& environment);

// Chained. The result is the one given with the tap among its interfaces.
absl::StatusOr<nlohmann::json> ChainedAdd(const Environment& environment,
                                          const Config& config);
absl::Status ChainedCheck(const Environment& environment, const Config& config);
absl::Status ChainedDel(const Environment& environment, const Config& config);

// Straight on a bridge.
absl::StatusOr<nlohmann::json> DirectAdd(const Environment& environment,
                                         const Config& config);
absl::Status DirectCheck(const Environment& environment, const Config& config);
absl::Status DirectDel(const Environment& environment, const Config& config);
absl::Status DirectGc(const Environment& environment, const Config& config);

}  // namespace serai::tap_plugin
