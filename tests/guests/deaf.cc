// SPDX-License-Identifier: Apache-2.0
// Does not look at its command line, and never ends.

#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

int Main() {
  Print("deaf: running");
  while (true) Poll(60 * kSecond);
}

}  // namespace serai::guest
