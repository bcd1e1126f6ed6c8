// SPDX-License-Identifier: Apache-2.0
#pragma once

// The hypercalls of hvt: a 32-bit `out` of a structure's address to the port
// of the call. The tender fills in the structure before the next instruction.

#include <cstdint>

namespace serai::guest {

enum class Hypercall : uint16_t {
  kWallTime = 0x501,
  kPuts = 0x502,
  kPoll = 0x503,
  kBlockWrite = 0x504,
  kBlockRead = 0x505,
  kNetWrite = 0x506,
  kNetRead = 0x507,
  kHalt = 0x508,
};

template <typename Arguments>
void Call(Hypercall call, Arguments* arguments) {
  asm volatile(
      "outl %0, %1"
      :
      : "a"(static_cast<uint32_t>(reinterpret_cast<uint64_t>(arguments))),
        "d"(static_cast<uint16_t>(call))
      : "memory");
}

// `cookie` is null, or at least 512 bytes that a tender may dump.
[[noreturn]] void Halt(int status, const void* cookie);

}  // namespace serai::guest
