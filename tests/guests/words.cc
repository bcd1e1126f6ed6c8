// SPDX-License-Identifier: Apache-2.0
// Says each word of its command line in hexadecimal, so that nothing can be
// mistaken.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

int Main() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::string_view word : SplitCommandLine()) {
    WriteConsole("word ");
    for (const char c : word) {
      const auto byte = static_cast<unsigned char>(c);
      const char digits[2] = {kDigits[byte >> 4], kDigits[byte & 15]};
      WriteConsole({digits, sizeof(digits)});
    }
    WriteConsole("\n");
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
