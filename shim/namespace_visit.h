// SPDX-License-Identifier: Apache-2.0
#pragma once

// A visit to another network namespace, on the calling thread: for a program
// with one.

#include "absl/functional/function_ref.h"
#include "lib/base/status.h"

namespace serai::shim {

// Runs `work` in the namespace that `netns` refers to, and goes back. The first
// error of the three.
absl::Status InNetns(int netns, absl::FunctionRef<absl::Status()> work);

}  // namespace serai::shim
