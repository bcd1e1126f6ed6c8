// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the evil guests share. Each of them knows some ways to misbehave, one of
// which --how=NAME chooses. It says "evil: about to NAME" first, and "evil:
// nothing happened" with exit status 0 where it is still there afterwards.

#include <cstdint>
#include <span>
#include <string_view>

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

struct Way {
  std::string_view name;
  void (*run)();
};

inline constexpr OptionSpec kHowOption = {"how", "the way to misbehave"};

// Runs the way that --how names; the exit status.
inline int Misbehave(const Options& options, std::span<const Way> ways) {
  const std::string_view how = options.Value("how").value_or("");
  for (const Way& way : ways) {
    if (way.name != how) continue;
    Print("evil: about to ", way.name);
    way.run();
    Print("evil: nothing happened");
    return 0;
  }
  for (const Way& way : ways) Print("evil: --how=", way.name);
  options.Reject("how", "one of these");
}

inline void StoreByte(uint64_t address) {
  asm volatile("movb $1, (%0)" : : "r"(address) : "memory");
}

inline uint8_t LoadByte(uint64_t address) {
  uint8_t value;
  asm volatile("movb (%1), %0" : "=q"(value) : "r"(address) : "memory");
  return value;
}

inline void Jump(uint64_t address) {
  asm volatile("call *%0" : : "r"(address) : "memory", "cc");
}

// A hexadecimal number after "0x", or a decimal one; rejected otherwise.
uint64_t AddressOption(const Options& options, std::string_view name);

}  // namespace serai::guest
