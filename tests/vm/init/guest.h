// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest under the tender, from its start to its end.

#include "tests/vm/cases.h"
#include "tests/vm/result.h"

namespace serai::testing {

// Runs the case; all of the result but the index.
CaseResult RunCase(const VmCase& vm_case);

}  // namespace serai::testing
