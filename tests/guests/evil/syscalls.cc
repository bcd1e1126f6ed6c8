// SPDX-License-Identifier: Apache-2.0
// System calls (spt): those that the tender's filter refuses, and those it lets
// through with arguments that are nobody's.

#include "tests/guests/evil/evil.h"
#include "tests/guests/runtime/spt/system_call.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    kHowOption,
    {"call", "for \"any\", \"int80\" and \"x32\": its number"},
    {"a", "its first argument"},
    {"b", "its second"},
    {"c", "its third"},
    {"d", "its fourth"},
};

constexpr long kX32 = 0x40000000;

long number;
long arguments[4];

// As a 32-bit program would.
long Call32(long call, long a, long b, long c) {
  long result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(call), "b"(a), "c"(b), "d"(c)
               : "r8", "r9", "r10", "r11", "memory");
  return result;
}

constexpr Way kWays[] = {
    {"any",
     [] {
       Print("evil: result ", SystemCall(number, arguments[0], arguments[1],
                                         arguments[2], arguments[3]));
     }},
    {"int80",
     [] {
       Print("evil: result ",
             Call32(number, arguments[0], arguments[1], arguments[2]));
     }},
    {"x32",
     [] {
       Print("evil: result ",
             SystemCall(kX32 | number, arguments[0], arguments[1], arguments[2],
                        arguments[3]));
     }},
    // A thread pointer into nowhere, and its use.
    {"wild-fs",
     [] {
       Print("evil: result ", SystemCall(158, 0x1002, 0x7ff0'0000'0000));
       asm volatile("movq %%fs:0, %%rax" : : : "rax");
     }},
};

}  // namespace

int Main() {
  const Options options("evil_syscalls", kOptions);
  const auto signed_option = [&](std::string_view name) {
    if (!options.Value(name).has_value()) return 0L;
    return static_cast<long>(AddressOption(options, name));
  };
  number = signed_option("call");
  arguments[0] = signed_option("a");
  arguments[1] = signed_option("b");
  arguments[2] = signed_option("c");
  arguments[3] = signed_option("d");
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
