// SPDX-License-Identifier: Apache-2.0
#pragma once

// JSON that others wrote: bounded in size and depth, with places in its errors.

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::cni {

// The size bounds what a hostile program can make us hold, the depth what
// recursion it can drive us to.
constexpr size_t kMaxJsonBytes = size_t{1} << 20;
constexpr size_t kMaxJsonDepth = 32;
constexpr size_t kMaxStringBytes = 255;

// INVALID_ARGUMENT "line 3, column 7: not JSON", RESOURCE_EXHAUSTED when it is
// too large or too deep.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text,
                                         size_t max_depth = kMaxJsonDepth);

// The member `key` of `object`, which has to be of the type when it is there;
// empty when it is not. At most kMaxStringBytes a string and 64 strings a list;
// no control characters.
absl::StatusOr<std::string> StringField(const nlohmann::json& object,
                                        absl::string_view key);
absl::StatusOr<std::vector<std::string>> StringListField(
    const nlohmann::json& object, absl::string_view key);

// The member `key`, or null when it is not there.
const nlohmann::json& Member(const nlohmann::json& object,
                             absl::string_view key);

// JSON on one line; text that is not UTF-8 is repaired, not refused.
std::string Dump(const nlohmann::json& value);

// What a foreign program printed, fit for one line of a message.
std::string Printable(absl::string_view text);

}  // namespace serai::cni
