// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the shim says of itself: to -v and -info.

#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::shim {

// A line for people.
std::string VersionText();

// A serialised containerd.types.RuntimeInfo with the options that were asked
// about: `input`, a serialised google.protobuf.Any or nothing.
// INVALID_ARGUMENT when it is something else.
absl::StatusOr<std::string> RuntimeInfo(absl::string_view input);

}  // namespace serai::shim
