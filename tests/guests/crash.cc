// SPDX-License-Identifier: Apache-2.0
// Fails in the way it is told to.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"how", "null, ud2, divide, text, abort, gp or stack; null unless given"},
};

void Store(uint64_t address) {
  asm volatile("movb $1, (%0)" : : "r"(address) : "memory");
}

void WriteToNull() { Store(0); }
void ExecuteUndefined() { asm volatile("ud2"); }
void DivideByZero() {
  asm volatile("xorl %%edx, %%edx; xorl %%eax, %%eax; divl %%edx"
               :
               :
               : "eax", "edx");
}
void WriteToText() { Store(reinterpret_cast<uint64_t>(&WriteToText)); }
void Abort() { Exit(kExitAbort); }
void UseBadAddress() { Store(0x8000'0000'0000'0000); }
// Pushes until something stops it: through stack, heap and data to the text.
void OverflowStack() { asm volatile("1: pushq $0; jmp 1b"); }

struct Way {
  std::string_view name;
  std::string_view what;
  void (*crash)();
};
constexpr Way kWays[] = {
    {"null", "write to address 0", WriteToNull},
    {"ud2", "execute an undefined instruction", ExecuteUndefined},
    {"divide", "divide by zero", DivideByZero},
    {"text", "write to the program's text", WriteToText},
    {"abort", "exit with the status of an abort", Abort},
    {"gp", "use an address that can't be one", UseBadAddress},
    {"stack", "push to the stack without end", OverflowStack},
};

}  // namespace

int Main() {
  const Options options("crash", kOptions);
  const std::string_view how = options.Value("how").value_or("null");
  for (const Way& way : kWays) {
    if (way.name != how) continue;
    Print("crash: about to ", way.what);
    way.crash();
    Print("crash: nothing happened");
    return 0;
  }
  options.Reject("how", "one of those that --help lists");
}

}  // namespace serai::guest
