// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs code that may raise an exception, on hvt.

#include <optional>

#include "tests/guests/runtime/platform.h"

namespace serai::guest {

// Calls `code(argument)`. The registers at the exception that ended it, if one
// did; objects that it has left behind are not destroyed. Takes the place of
// the trap handler; not to be used within itself.
std::optional<TrapFrame> TryCall(void (*code)(void*), void* argument);

template <typename Code>
std::optional<TrapFrame> Try(Code code) {
  return TryCall([](void* argument) { (*static_cast<Code*>(argument))(); },
                 &code);
}

// The handler that TryCall() leaves in place.
bool HandleTry(TrapFrame& frame);

}  // namespace serai::guest
