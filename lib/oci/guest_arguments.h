// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest's arguments as the one line that Solo5 gives it. A vector everywhere
// else; the line is taken apart again by the guest, by the rules of MirageOS'
// command line parser. Pure functions, any thread.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

// One argument as the guest's parser takes it back: a backslash before each
// space, double quote and backslash; "" when it is empty.
std::string EscapeArgument(absl::string_view argument);

// Each argument escaped. INVALID_ARGUMENT when one has a NUL, which ends the
// line, or when, joined by spaces, they are longer than a guest has room for.
absl::StatusOr<std::vector<std::string>> EscapeArguments(
    const std::vector<std::string>& arguments);

// The same check of a line that is given as it is. An empty one is no word.
absl::StatusOr<std::vector<std::string>> RawArguments(
    const std::vector<std::string>& arguments);

}  // namespace serai::oci
