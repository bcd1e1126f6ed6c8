// SPDX-License-Identifier: Apache-2.0
#pragma once

// The machine's side of things: file systems, modules, disk, network, and its
// line to the test outside.

#include <string>
#include <string_view>

namespace serai::testing {

// Says `line`, which ends with a newline, to the test.
void Tell(std::string_view line);

// Says what failed, with errno's text, and ends the machine.
[[noreturn]] void Fail(std::string_view what);

// To be called once, before anything else.
void SetUpMachine();

[[noreturn]] void PowerOff();

}  // namespace serai::testing
