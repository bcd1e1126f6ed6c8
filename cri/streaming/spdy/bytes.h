// SPDX-License-Identifier: Apache-2.0
#pragma once

// Numbers in network byte order.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace serai::cri::spdy {

inline void Append16(std::string& out, uint32_t value) {
  out.push_back(static_cast<char>(value >> 8 & 0xff));
  out.push_back(static_cast<char>(value & 0xff));
}

inline void Append32(std::string& out, uint32_t value) {
  Append16(out, value >> 16);
  Append16(out, value & 0xffff);
}

// The number at `at`, which has four bytes there.
inline uint32_t Read32(absl::string_view bytes, size_t at = 0) {
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace serai::cri::spdy
