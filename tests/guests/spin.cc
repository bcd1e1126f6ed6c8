// SPDX-License-Identifier: Apache-2.0
// Never ends.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"idle", "sleep instead of using the processor"},
};

}  // namespace

int Main() {
  const Options options("spin", kOptions);
  if (options.Flag("idle")) {
    Print("spin: idle");
    while (true) Poll(3600 * kSecond);
  }
  Print("spinning");
  while (true) asm volatile("");
}

}  // namespace serai::guest
