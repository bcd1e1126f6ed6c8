// SPDX-License-Identifier: Apache-2.0
#pragma once

// Work that leaves nothing behind in the shim: done in a child, whose heap,
// threads and network namespace go with it. For a program with one thread.

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::shim {

// Forks a child that does `work`, waits for it, and returns what that returned.
// The child has this process's descriptors, and dies with it. It is killed
// after `timeout`: DEADLINE_EXCEEDED. One that dies by itself is INTERNAL. It
// is reaped here.
absl::StatusOr<std::string> AskChild(
    absl::FunctionRef<absl::StatusOr<std::string>()> work,
    absl::Duration timeout);

}  // namespace serai::shim
