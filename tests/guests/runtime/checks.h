// SPDX-License-Identifier: Apache-2.0
#pragma once

// What guests that test something report with: a line "ok NAME" or "not ok
// NAME: why" for each check, SUCCESS or FAILURE at the end.

#include <string_view>

#include "tests/guests/runtime/console.h"

namespace serai::guest {

class Checks {
 public:
  // `why` is printed where `ok` is false.
  template <typename... Parts>
  void Check(std::string_view name, bool ok, const Parts&... why) {
    if (ok) {
      Print("ok ", name);
    } else {
      Print("not ok ", name, ": ", why...);
      failed_ = true;
    }
  }

  template <typename T>
  void Equal(std::string_view name, T is, T expected) {
    Check(name, is == expected, "is ", Hex{static_cast<uint64_t>(is)},
          ", expected ", Hex{static_cast<uint64_t>(expected)});
  }

  // The exit status of a guest that is through with its checks.
  int Finish() const {
    Print(failed_ ? "FAILURE" : "SUCCESS");
    return failed_ ? 1 : 0;
  }

 private:
  bool failed_ = false;
};

}  // namespace serai::guest
