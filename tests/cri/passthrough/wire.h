// SPDX-License-Identifier: Apache-2.0
#pragma once

// Messages written by hand, byte by byte, for tests that must not use the
// classes that know them.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serai::testing {

inline std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  }
  out.push_back(static_cast<char>(value));
  return out;
}

inline std::string Tag(uint32_t number, uint32_t type) {
  return Varint((static_cast<uint64_t>(number) << 3) | type);
}

// A string, bytes or message field.
inline std::string Bytes(uint32_t number, absl::string_view value) {
  return absl::StrCat(Tag(number, 2), Varint(value.size()), value);
}

inline std::string Number(uint32_t number, uint64_t value) {
  return absl::StrCat(Tag(number, 0), Varint(value));
}

}  // namespace serai::testing
