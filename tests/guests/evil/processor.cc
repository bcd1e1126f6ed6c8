// SPDX-License-Identifier: Apache-2.0
// Instructions (hvt) that would control the machine, or leave it.

#include "tests/guests/evil/evil.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    kHowOption,
    {"msr", "the register's number for rdmsr and wrmsr"},
};

// The tender's own selectors of level 0.
constexpr uint64_t kTenderCode = 0x10;
constexpr uint64_t kTenderData = 0x18;

uint32_t msr;
char buffer[64];

#define EVIL_INSTRUCTION(name, text)                                 \
  {                                                                  \
    name, [] {                                                       \
      asm volatile(text : : : "rax", "rbx", "rcx", "rdx", "memory"); \
    }                                                                \
  }

// Returns as from an interrupt, with these selectors, to the next instruction,
// and tells at which level that was.
void ReturnTo(uint64_t code, uint64_t data) {
  uint64_t scratch;
  asm volatile(
      "movq %%rsp, %[scratch]\n\t"
      "pushq %[data]\n\t"
      "pushq %[scratch]\n\t"
      "pushfq\n\t"
      "pushq %[code]\n\t"
      "leaq 1f(%%rip), %[scratch]\n\t"
      "pushq %[scratch]\n\t"
      "iretq\n\t"
      "1:\n\t"
      "movl %%cs, %k[scratch]"
      : [scratch] "=&r"(scratch)
      : [code] "r"(code), [data] "r"(data)
      : "memory");
  Print("evil: level ", scratch & 3);
}

void FarReturnTo(uint64_t code) {
  uint64_t scratch;
  asm volatile(
      "pushq %[code]\n\t"
      "leaq 1f(%%rip), %[scratch]\n\t"
      "pushq %[scratch]\n\t"
      "lretq\n\t"
      "1:\n\t"
      "movl %%cs, %k[scratch]"
      : [scratch] "=&r"(scratch)
      : [code] "r"(code)
      : "memory");
  Print("evil: level ", scratch & 3);
}

// Sets flags in the frame of an iretq: the level of I/O, NT, VM, the flag for
// virtual interrupts.
void ReturnWithFlags() {
  uint64_t scratch;
  asm volatile(
      "movq %%rsp, %[scratch]\n\t"
      "pushq $0x10\n\t"
      "pushq %[scratch]\n\t"
      "pushq $0x1f7002\n\t"
      "pushq $0x8\n\t"
      "leaq 1f(%%rip), %[scratch]\n\t"
      "pushq %[scratch]\n\t"
      "iretq\n\t"
      "1:\n\t"
      "pushfq\n\t"
      "popq %[scratch]"
      : [scratch] "=&r"(scratch)
      :
      : "memory", "cc");
  Print("evil: flags ", Hex{scratch & 0x1b4000});
}

constexpr Way kWays[] = {
    EVIL_INSTRUCTION("hlt", "hlt"),
    EVIL_INSTRUCTION("cr0", "xorl %%eax, %%eax; movq %%rax, %%cr0"),
    EVIL_INSTRUCTION("cr2", "xorl %%eax, %%eax; movq %%rax, %%cr2"),
    EVIL_INSTRUCTION("cr3", "movl $0x100000, %%eax; movq %%rax, %%cr3"),
    EVIL_INSTRUCTION("cr3-read", "movq %%cr3, %%rax"),
    EVIL_INSTRUCTION("cr4", "xorl %%eax, %%eax; movq %%rax, %%cr4"),
    EVIL_INSTRUCTION("cr8", "xorl %%eax, %%eax; movq %%rax, %%cr8"),
    EVIL_INSTRUCTION("cr8-read", "movq %%cr8, %%rax"),
    EVIL_INSTRUCTION("dr7", "movl $0x401, %%eax; movq %%rax, %%dr7"),
    EVIL_INSTRUCTION("dr7-read", "movq %%dr7, %%rax"),
    EVIL_INSTRUCTION("lmsw", "xorl %%eax, %%eax; lmsw %%ax"),
    EVIL_INSTRUCTION("clts", "clts"),
    EVIL_INSTRUCTION("invlpg", "invlpg (%%rsp)"),
    EVIL_INSTRUCTION("invpcid", "xorl %%eax, %%eax; invpcid (%%rsp), %%rax"),
    EVIL_INSTRUCTION("invd", "invd"),
    EVIL_INSTRUCTION("wbinvd", "wbinvd"),
    EVIL_INSTRUCTION("lldt", "xorl %%eax, %%eax; lldt %%ax"),
    EVIL_INSTRUCTION("xsetbv",
                     "movl $1, %%eax; xorl %%edx, %%edx; xorl %%ecx, %%ecx; "
                     "xsetbv"),
    EVIL_INSTRUCTION("monitor",
                     "movq %%rsp, %%rax; xorl %%ecx, %%ecx; xorl %%edx, %%edx; "
                     "monitor"),
    EVIL_INSTRUCTION("mwait", "xorl %%eax, %%eax; xorl %%ecx, %%ecx; mwait"),
    EVIL_INSTRUCTION("rdpmc", "xorl %%ecx, %%ecx; rdpmc"),
    EVIL_INSTRUCTION("vmcall", "xorl %%eax, %%eax; vmcall"),
    EVIL_INSTRUCTION("vmmcall", "xorl %%eax, %%eax; vmmcall"),
    EVIL_INSTRUCTION("vmlaunch", "vmlaunch"),
    EVIL_INSTRUCTION("vmrun", "movl $0x200000, %%eax; vmrun"),
    EVIL_INSTRUCTION("vmload", "movl $0x200000, %%eax; vmload"),
    EVIL_INSTRUCTION("stgi", "stgi"),
    EVIL_INSTRUCTION("clgi", "clgi"),
    EVIL_INSTRUCTION("skinit", "movl $0x200000, %%eax; skinit"),
    EVIL_INSTRUCTION("getsec", "xorl %%eax, %%eax; getsec"),
    EVIL_INSTRUCTION("rsm", "rsm"),
    EVIL_INSTRUCTION("sysexit", "sysexitl"),
    EVIL_INSTRUCTION("sysret", "sysretq"),
    {"syscall", [] { asm volatile("syscall"
                                  :
                                  : "a"(60)
                                  : "rcx", "r11"); }},
    {"sysenter", [] { asm volatile("sysenter"
                                   :
                                   : "a"(60)); }},
    EVIL_INSTRUCTION("int80", "movl $1, %%eax; int $0x80"),
    EVIL_INSTRUCTION("int13", "int $13"),
    EVIL_INSTRUCTION("int8", "int $8"),
    EVIL_INSTRUCTION("int2", "int $2"),
    EVIL_INSTRUCTION("int255", "int $255"),
    // Group 1 of the undefined: the longest instruction is 15 bytes.
    EVIL_INSTRUCTION("long", ".fill 15, 1, 0x66; nop"),
    EVIL_INSTRUCTION("lock", ".byte 0xf0, 0x0f, 0x30"),  // lock wrmsr
    EVIL_INSTRUCTION("popf", "pushq $0x1f7002; popfq"),
    {"wrmsr", [] { asm volatile("wrmsr"
                                :
                                : "c"(msr), "a"(0), "d"(0)); }},
    {"rdmsr", [] { asm volatile("rdmsr"
                                :
                                : "c"(msr)
                                : "eax", "edx"); }},
    {"wrmsr-noncanonical",
     [] {
       asm volatile("wrmsr" : : "c"(msr), "a"(0), "d"(0x8000));
     }},
    {"wrmsr-high",
     [] {
       asm volatile("wrmsr" : : "c"(msr), "a"(0), "d"(0xffff8000));
     }},
    {"iretq-0", [] { ReturnTo(0x8, 0x10); }},
    {"iretq-tender", [] { ReturnTo(kTenderCode, kTenderData); }},
    {"iretq-flags", [] { ReturnWithFlags(); }},
    {"lretq-0", [] { FarReturnTo(0x8); }},
    {"lretq-tender", [] { FarReturnTo(kTenderCode); }},
    {"lretq-null", [] { FarReturnTo(0); }},
    {"mov-cs", [] { asm volatile("movl %0, %%cs"
                                 :
                                 : "r"(8)); }},
    {"sgdt", [] { asm volatile("sgdt %0"
                               : "=m"(buffer)); }},
};

}  // namespace

int Main() {
  const Options options("evil_processor", kOptions);
  msr = static_cast<uint32_t>(options.Number("msr", 0, UINT32_MAX));
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
