// SPDX-License-Identifier: Apache-2.0
#pragma once

// Numbers as the command line gives them.

#include <charconv>
#include <cstdint>
#include <limits>
#include <string_view>

namespace serai::tender {

// Whether all of `text` is a decimal number of at most `most`, which goes to
// *number.
inline bool ParseNumber(std::string_view text, uint64_t most,
                        uint64_t* number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && rest == end && *number <= most;
}

// The number of "@FD", or -1.
inline int ParseFd(std::string_view text) {
  uint64_t number = 0;
  if (!text.starts_with('@') ||
      !ParseNumber(text.substr(1), std::numeric_limits<int>::max(), &number)) {
    return -1;
  }
  return static_cast<int>(number);
}

}  // namespace serai::tender
