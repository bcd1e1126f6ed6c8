// SPDX-License-Identifier: Apache-2.0
// Exits with the status it is told.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"status", "exit status, 0 unless given; more than 255 may be asked for"},
};

}  // namespace

int Main() {
  const Options options("exit", kOptions);
  const auto status = static_cast<int>(options.Number("status", 0, 0x7fffffff));
  Print("exit: status ", status);
  return status;
}

}  // namespace serai::guest
