// SPDX-License-Identifier: Apache-2.0
#pragma once

// Numbers in network byte order, at any alignment.

#include <cstddef>
#include <cstdint>

namespace serai::guest {

inline uint8_t Get8(const std::byte* from) {
  return static_cast<uint8_t>(*from);
}
inline uint16_t Get16(const std::byte* from) {
  return static_cast<uint16_t>(Get8(from) << 8 | Get8(from + 1));
}
inline uint32_t Get32(const std::byte* from) {
  return uint32_t{Get16(from)} << 16 | Get16(from + 2);
}

inline void Put8(std::byte* to, uint8_t value) { *to = std::byte{value}; }
inline void Put16(std::byte* to, uint16_t value) {
  Put8(to, static_cast<uint8_t>(value >> 8));
  Put8(to + 1, static_cast<uint8_t>(value));
}
inline void Put32(std::byte* to, uint32_t value) {
  Put16(to, static_cast<uint16_t>(value >> 16));
  Put16(to + 2, static_cast<uint16_t>(value));
}

}  // namespace serai::guest
