// SPDX-License-Identifier: Apache-2.0
#pragma once

// The debugger itself, doing what it is told and ending.

#include <string>
#include <vector>

namespace serai::testing {

// What gdb prints that runs `commands` on `program`, with a core file or
// without. Fails the test where it does not run.
std::string RunGdb(const std::string& program, const std::string& core,
                   const std::vector<std::string>& commands);

}  // namespace serai::testing
