// SPDX-License-Identifier: Apache-2.0
// Never ends, and gives the tender work all the time.

#include "tests/guests/evil/evil.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {kHowOption};

#define EVIL_FOREVER(name, text)                            \
  {                                                         \
    name, [] {                                              \
      asm volatile("1: " text "; jmp 1b"                    \
                   :                                        \
                   :                                        \
                   : "rax", "rbx", "rcx", "rdx", "memory"); \
    }                                                       \
  }

// Back to the instruction that failed, for ever.
bool Again(TrapFrame& /*frame*/) { return true; }

[[noreturn]] void FaultForEver(void (*fault)()) {
  SetTrapHandler(Again);
  while (true) fault();
}

constexpr Way kWays[] = {
    EVIL_FOREVER("busy", "pause"),
    EVIL_FOREVER("cpuid", "xorl %%eax, %%eax; cpuid"),
    EVIL_FOREVER("rdtsc", "rdtsc"),
    {"undefined", [] { FaultForEver([] { asm volatile("ud2"); }); }},
    {"null", [] { FaultForEver([] { StoreByte(0); }); }},
    {"divide",
     [] {
       FaultForEver([] {
         asm volatile("xorl %%edx, %%edx; xorl %%eax, %%eax; divl %%edx"
                      :
                      :
                      : "eax", "edx");
       });
     }},
    {"breakpoint", [] { FaultForEver([] { asm volatile("int3"); }); }},
    {"protection", [] { FaultForEver([] { StoreByte(uint64_t{1} << 63); }); }},
    {"console",
     [] {
       while (true) WriteConsole("evil: there is more to say\n");
     }},
    // One call that writes all the memory there is.
    {"console-memory",
     [] {
       const auto heap = Heap();
       while (true) {
         WriteConsole(
             {reinterpret_cast<const char*>(heap.data()), heap.size()});
       }
     }},
    {"console-empty",
     [] {
       while (true) WriteConsole({});
     }},
    {"clock",
     [] {
       while (true) WallTime();
     }},
    {"poll",
     [] {
       while (true) Poll(0);
     }},
    {"sleep",
     [] {
       while (true) Poll(uint64_t{1} << 60);
     }},
};

}  // namespace

int Main() { return Misbehave(Options("evil_endless", kOptions), kWays); }

}  // namespace serai::guest
