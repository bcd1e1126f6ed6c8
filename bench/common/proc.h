// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace serai::bench {

// A field of a file of /proc ("/proc/7/status", "VmRSS:"), in kB, summed over
// the lines that begin with it; -1 when there is none.
double ProcField(const std::string& path, absl::string_view field);

}  // namespace serai::bench
