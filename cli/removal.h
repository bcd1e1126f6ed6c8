// SPDX-License-Identifier: Apache-2.0
#pragma once

// Taking a pod away.

#include <cstdint>
#include <optional>
#include <string>

#include "cli/client.h"
#include "lib/base/status.h"

namespace serai::cli {

// Stops the pod's containers, each with `grace` seconds (nullopt: what its
// manifest said), stops the sandbox, removes all, and for a pod that the CLI
// made its log files. A pod that is not there is success.
absl::Status RemovePod(Client& client, const std::string& pod_id,
                       std::optional<int64_t> grace);

// The grace period that the container's manifest gave it, in seconds.
int64_t GraceOf(const v1::ContainerStatus& container);

}  // namespace serai::cli
