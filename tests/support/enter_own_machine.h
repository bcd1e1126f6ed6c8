// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/status.h"

namespace serai::testing {

// Puts the calling thread, and all that it starts from now on, in network and
// mount namespaces of their own. Once is enough for a process: what comes after
// is nothing. Before the first thread is made.
absl::Status EnterOwnMachine();

}  // namespace serai::testing
