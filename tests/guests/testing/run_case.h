// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs cases (cases.h) under the tender and tells what is wrong about them as
// failures of the running test.

#include <span>

#include "tests/guests/testing/cases.h"

namespace serai::testing {

// At level 3, or as spt does it. Returns once all have ended.
void RunCases(std::span<const GuestCase> cases);

// The hvt cases among them with --cpl=0.
void RunCasesAtLevel0(std::span<const GuestCase> cases);

}  // namespace serai::testing
