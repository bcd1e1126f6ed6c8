// SPDX-License-Identifier: Apache-2.0
#pragma once

// The IPAM plugin that this one delegates to (CNI specification, section 4):
// the same environment, the same stdin.

#include <nlohmann/json_fwd.hpp>

#include "cni/result.h"
#include "cni/tap_plugin/request.h"

namespace serai::tap_plugin {

struct Leased {
  cni::Result result;
  nlohmann::json json;  // as the plugin gave it
};

// Fails with what the plugin said, and its code.
absl::StatusOr<Leased> IpamAdd(const Environment& environment,
                               const Config& config);
// DEL, CHECK, GC or STATUS: environment.command.
absl::Status IpamRun(const Environment& environment, const Config& config);

}  // namespace serai::tap_plugin
