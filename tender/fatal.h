// SPDX-License-Identifier: Apache-2.0
#pragma once

// How the tender gives up: one line on stderr and exit status 1. A tender has
// one thing to do, so what it cannot do ends it.

namespace serai::tender {

// The name that starts every message: the last part of `argv0`, which is kept.
void SetProgramName(const char* argv0);
const char* ProgramName();

// Writes "PROGRAM: message" to stderr. A message that does not fit a line of
// 512 bytes is cut; an error of stderr itself is ignored.
[[gnu::format(printf, 1, 2)]] void Warn(const char* format, ...);
[[noreturn, gnu::format(printf, 1, 2)]] void Fatal(const char* format, ...);

}  // namespace serai::tender
