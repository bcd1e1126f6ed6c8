// SPDX-License-Identifier: Apache-2.0
// Reads, writes and executes what it should not; the same for both targets.

#include "tests/guests/evil/evil.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    kHowOption,
    {"address", "for read, write and jump: where"},
};

// mov $42, %eax; ret
constexpr uint8_t kCode[] = {0xb8, 42, 0, 0, 0, 0xc3};

alignas(64) uint8_t data_code[64] = {1};  // not in .bss
alignas(64) uint8_t bss_code[64];
uint64_t address;

template <typename T>
uint64_t AddressOf(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

void Execute(uint8_t* where) {
  __builtin_memcpy(where, kCode, sizeof(kCode));
  Jump(AddressOf(where));
}

const char constant[] = "constant";

constexpr Way kWays[] = {
    {"read", [] { Print("evil: read ", uint64_t{LoadByte(address)}); }},
    {"write", [] { StoreByte(address); }},
    {"jump", [] { Jump(address); }},
    {"read-end", [] { LoadByte(MemorySize()); }},
    {"write-end", [] { StoreByte(MemorySize()); }},
    {"jump-end", [] { Jump(MemorySize()); }},
    {"write-text", [] { StoreByte(AddressOf(&Main)); }},
    {"write-constant", [] { StoreByte(AddressOf(constant)); }},
    {"execute-data", [] { Execute(data_code); }},
    {"execute-bss", [] { Execute(bss_code); }},
    {"execute-heap",
     [] { Execute(reinterpret_cast<uint8_t*>(Heap().data())); }},
    {"execute-stack",
     [] {
       uint8_t code[64];
       Execute(code);
     }},
    // The last instruction of memory: one whole, one that goes on beyond.
    {"execute-last",
     [] {
       auto* const last = reinterpret_cast<uint8_t*>(MemorySize() - 1);
       *last = 0xc3;
       Jump(AddressOf(last));
     }},
    {"execute-cut",
     [] {
       auto* const last = reinterpret_cast<uint8_t*>(MemorySize() - 1);
       *last = 0x0f;
       Jump(AddressOf(last));
     }},
    // wrmsr there: on hvt it is looked at before it is refused.
    {"execute-last-msr",
     [] {
       auto* const last = reinterpret_cast<uint8_t*>(MemorySize() - 2);
       last[0] = 0x0f;
       last[1] = 0x30;
       asm volatile("call *%0"
                    :
                    : "r"(last), "a"(0), "c"(0x1b), "d"(0)
                    : "memory");
     }},
    // Every page, forwards, to where memory ends.
    {"touch-all",
     [] {
       for (uint64_t at = AddressOf(Heap().data());; at += 4096) {
         StoreByte(at);
       }
     }},
};

}  // namespace

int Main() {
  const Options options("evil_memory", kOptions);
  if (options.Value("address").has_value()) {
    address = AddressOption(options, "address");
  }
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
