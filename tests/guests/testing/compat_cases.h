// SPDX-License-Identifier: Apache-2.0
#pragma once

// The cases of the guests that do what real ones do.

#include "tests/guests/testing/cases.h"

namespace serai::testing {

inline constexpr std::string_view kSuccess = "SUCCESS\n";

inline constexpr GuestCase kCompatCases[] = {
    GoesOn("hello1", "hvt", "one two", kSuccess),
    GoesOn("hello1", "spt", "one two", kSuccess),
    GoesOn("vectors", "hvt", "", kSuccess),
    GoesOn("vectors", "spt", "", kSuccess),
    GoesOn("privileged", "hvt", "", kSuccess),
    GoesOn("exceptions", "hvt", "", kSuccess),
    WithMemory(96, GoesOn("layout", "hvt", "", kSuccess)),
    WithMemory(96, GoesOn("layout", "spt", "", kSuccess)),
    // Where its .bss does not fit.
    WithMemory(32,
               {"layout", "hvt", "", 1, "failure", "needs at least 76 MiB"}),
    WithMemory(32,
               {"layout", "spt", "", 1, "failure", "needs at least 75 MiB"}),
};

}  // namespace serai::testing
