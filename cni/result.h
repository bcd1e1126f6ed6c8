// SPDX-License-Identifier: Apache-2.0
#pragma once

// What plugins answer (CNI specification, section 5), read with suspicion.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cni/network.h"
#include "lib/base/status.h"

namespace serai::cni {

// An answer to ADD: an object of a version this client speaks. What is in it is
// the next plugin's matter, or ReadResult()'s.
absl::StatusOr<nlohmann::json> ParseResult(absl::string_view text);

// What the last result says of the interface `interface_name` in the pod.
// INVALID_ARGUMENT for anything malformed, or when it has no address.
absl::StatusOr<Result> ReadResult(const nlohmann::json& result,
                                  absl::string_view interface_name);

// An answer to VERSION.
absl::StatusOr<std::vector<std::string>> ParseVersions(absl::string_view text);

struct PluginError {
  int code = 0;
  std::string message;  // printable, one line
};

// What a plugin that failed says of it; nullopt when that is no error object.
std::optional<PluginError> ParsePluginError(absl::string_view text);

}  // namespace serai::cni
