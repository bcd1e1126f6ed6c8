// SPDX-License-Identifier: Apache-2.0
#pragma once

// What both targets' entry points share. Not for guests.

#include <cstdint>
#include <string_view>

#include "tests/guests/runtime/platform.h"

namespace serai::guest {

// Lays out the thread-local variables; the value the FS base must get.
uint64_t PrepareThreadLocals();

// Keeps what the tender told. The manifest is checked, not trusted further
// than its own bounds.
void SetMachine(uint64_t memory_size, uint64_t command_line, uint64_t manifest);

// Runs Main() and ends the guest with what it returns.
[[noreturn]] void Run();

}  // namespace serai::guest
