// SPDX-License-Identifier: Apache-2.0
#pragma once

// Failures on demand, for the tests of what is undone when a step fails. Where
// the environment has SERAI_FAULT_FILE at the program's start, each step asks
// that file whether it is the one to fail; elsewhere a step costs one branch.
//
// The file holds the name of one step: the step then returns an error. With
// "crash:" before it, the process ends there, as by kill -9.

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai {

// INTERNAL "injected failure at <step>" when the fault file names `step`.
absl::Status FaultPoint(absl::string_view step);

}  // namespace serai
