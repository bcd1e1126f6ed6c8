// SPDX-License-Identifier: Apache-2.0
#pragma once

// YAML (and so JSON) text to a JSON value. The one place where yaml-cpp is
// used: its exceptions end here. Plain scalars get the types of the YAML 1.2
// core schema (null, true, 1, 1.5, else a string); quoted ones are strings.

#include <cstddef>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "nlohmann/json.hpp"

namespace serai::cli {

// The longest text, the deepest nesting and the most values (aliases expanded)
// that ParseYaml takes.
inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr int kMaxYamlDepth = 64;
inline constexpr int kMaxYamlValues = 100'000;

// The only document of `text`; documents with nothing in them do not count.
// INVALID_ARGUMENT, naming line and column where they are known, for text that
// is not YAML, a key that is given twice or is not a scalar, a merge key, more
// than one document, or more than the bounds above.
absl::StatusOr<nlohmann::json> ParseYaml(absl::string_view text);

}  // namespace serai::cli
