// SPDX-License-Identifier: Apache-2.0
#pragma once

// toml++ as everything here includes it: without exceptions, and with what it
// asserts about its input turned off. Up to 3.4 its parser asserts (or, in an
// optimised build, promises the compiler) that a table header goes on with a
// key, which "[[[" or "[(" in a configuration file makes untrue; what follows
// the assertion handles the case and reports it. Every file of a program must
// see the same definitions.

#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expr) static_cast<void>(0)
#pragma push_macro("NDEBUG")
#undef NDEBUG  // with it TOML_ASSERT is not asked
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
