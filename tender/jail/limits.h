// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tender/options.h"

namespace serai::tender {

// Sets the process's limits (setrlimit(2)), each as low as it can be.
// `highest_fd` is the highest descriptor that is open. Ends the process with a
// message where that fails.
void SetLimits(const Options& options, int highest_fd);

}  // namespace serai::tender
