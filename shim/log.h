// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shim's own few words, to stderr: a line each, with the time. Not the
// guests' output, which cri_log.h writes.

#include "absl/strings/string_view.h"

namespace serai::shim {

// Something that the work goes on without.
void LogWarning(absl::string_view message);

}  // namespace serai::shim
