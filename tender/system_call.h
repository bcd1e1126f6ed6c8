// SPDX-License-Identifier: Apache-2.0
#pragma once

// System calls for a thread that has no thread-local data of its own, and so no
// errno.

#include <cstdint>

#if !defined(__x86_64__)
#error "the tender makes system calls on x86_64 only"
#endif

namespace serai::tender {

// What the kernel answers: -1 to -4095 is an error.
inline long SystemCall(long number, uint64_t a, uint64_t b, uint64_t c,
                       uint64_t d = 0) {
  long result = number;
  register uint64_t fourth asm("r10") = d;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(fourth)
               : "rcx", "r11", "memory");
  return result;
}

inline uint64_t AsArgument(int number) {
  return static_cast<uint64_t>(int64_t{number});
}
inline uint64_t AsArgument(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

}  // namespace serai::tender
