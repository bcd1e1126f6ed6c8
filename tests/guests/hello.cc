// SPDX-License-Identifier: Apache-2.0
// Says what it was given.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

int Main() {
  Print("hello: target ", TargetName(), ", memory ", MemorySize() >> 20,
        " MiB");
  // The line can be longer than what Print() holds.
  WriteConsole("command line: ");
  WriteConsole(CommandLine());
  WriteConsole("\n");
  size_t index = 0;
  for (const std::string_view word : SplitCommandLine()) {
    Print("argument ", ++index, ": ", word);
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
