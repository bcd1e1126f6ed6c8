// SPDX-License-Identifier: Apache-2.0
// Uses I/O ports (hvt) that are not there, or in ways that are not hypercalls.

#include "tests/guests/evil/evil.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    kHowOption,
    {"port", "the port, 1282 (puts) unless given"},
};

uint16_t port;
char text[16] = "some text\n";

constexpr Way kWays[] = {
    {"out8", [] { asm volatile("outb %%al, %%dx"
                               :
                               : "a"(text), "d"(port)); }},
    {"out16", [] { asm volatile("outw %%ax, %%dx"
                                :
                                : "a"(text), "d"(port)); }},
    {"out32",
     [] {
       asm volatile("outl %%eax, %%dx" : : "a"(text), "d"(port));
     }},
    {"out8-imm", [] { asm volatile("outb %%al, $0x80"
                                   :
                                   : "a"(0)); }},
    {"in8", [] { asm volatile("inb %%dx, %%al"
                              :
                              : "d"(port)
                              : "eax"); }},
    {"in16", [] { asm volatile("inw %%dx, %%ax"
                               :
                               : "d"(port)
                               : "eax"); }},
    {"in32", [] { asm volatile("inl %%dx, %%eax"
                               :
                               : "d"(port)
                               : "eax"); }},
    {"outs8",
     [] {
       const char* from = text;
       asm volatile("outsb" : "+S"(from) : "d"(port) : "memory");
     }},
    {"outs32-rep",
     [] {
       const char* from = text;
       uint64_t count = 2;
       asm volatile("rep outsl"
                    : "+S"(from), "+c"(count)
                    : "d"(port)
                    : "memory");
     }},
    {"ins8",
     [] {
       char* to = text;
       asm volatile("insb" : "+D"(to) : "d"(port) : "memory");
     }},
    {"ins32-rep",
     [] {
       char* to = text;
       uint64_t count = 2;
       asm volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
     }},
};

}  // namespace

int Main() {
  const Options options("evil_ports", kOptions);
  port = static_cast<uint16_t>(options.Number("port", 0x502, 0xffff));
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
