// SPDX-License-Identifier: Apache-2.0
// Descriptor tables, task states and handlers (hvt) that lead nowhere.

#include "tests/guests/evil/evil.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    kHowOption,
    {"at",
     "an address: of the table's pointer, of the table, of a stack, or code"},
    {"limit", "the table's limit, 4095 unless given"},
};

struct [[gnu::packed]] TableRegister {
  uint16_t limit;
  uint64_t base;
};

uint64_t at;
uint16_t limit;

alignas(16) uint64_t gdt[8];
alignas(16) uint64_t idt[64];
alignas(16) char task[104];

// A gate to `handler` on the stack `ist` (0: the one in use).
void SetGate(unsigned vector, uint64_t handler, uint64_t ist) {
  idt[2 * vector] = (handler & 0xffff) | uint64_t{8} << 16 | ist << 32 |
                    uint64_t{0x8e} << 40 | (handler >> 16 & 0xffff) << 48;
  idt[2 * vector + 1] = handler >> 32;
}

void LoadIdt(uint64_t base, uint16_t table_limit) {
  const TableRegister table = {table_limit, base};
  asm volatile("lidt %0" : : "m"(table) : "memory");
}

void LoadGdt(uint64_t base, uint16_t table_limit) {
  const TableRegister table = {table_limit, base};
  asm volatile("lgdt %0" : : "m"(table) : "memory");
}

void LoadTask(uint16_t selector) {
  asm volatile("ltr %0" : : "r"(selector) : "memory");
}

// A task state at `base` behind selector 0x18 of a table of our own.
void LoadTaskAt(uint64_t base, uint64_t type = 0x89, uint64_t bytes = 104) {
  gdt[3] = (bytes - 1) | (base & 0xffffff) << 16 | type << 40 |
           (base >> 24 & 0xff) << 56;
  gdt[4] = base >> 32;
  LoadGdt(reinterpret_cast<uint64_t>(gdt), sizeof(gdt) - 1);
  LoadTask(0x18);
}

void Fault() { asm volatile("ud2"); }

// Only #UD has a gate, and it leads to `handler`.
void FaultInto(uint64_t handler, uint64_t ist) {
  for (uint64_t& word : idt) word = 0;
  SetGate(6, handler, ist);
  LoadIdt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  Fault();
}

// Pushes to where nothing is, and has a gate for that which uses no stack of
// its own: a processor gives up.
[[gnu::naked]] void LoseStack() {
  asm volatile("movq at_stack(%rip), %rsp; pushq $0; 1: jmp 1b");
}
extern "C" uint64_t at_stack;
uint64_t at_stack;

// All exceptions lead to `handler`, also the one that going there makes.
void FaultForEverInto(uint64_t handler) {
  for (unsigned vector = 0; vector < 32; ++vector) {
    SetGate(vector, handler, 0);
  }
  LoadIdt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  Fault();
}

// Goes where it can't be, which leads here again, each time with a new stack.
[[gnu::naked]] void JumpAgain() {
  asm volatile("movq jump_stack(%rip), %rsp; jmp *jump_to(%rip)");
}
extern "C" uint64_t jump_stack;
uint64_t jump_stack;
extern "C" uint64_t jump_to;
uint64_t jump_to;
alignas(16) char jump_stack_space[1024];

constexpr Way kWays[] = {
    {"lgdt", [] { asm volatile("lgdt (%0)"
                               :
                               : "r"(at)); }},
    {"lidt", [] { asm volatile("lidt (%0)"
                               :
                               : "r"(at)); }},
    {"ltr-memory", [] { asm volatile("ltr (%0)"
                                     :
                                     : "r"(at)); }},
    // The selectors: null, beyond the table, of the LDT, data, not present.
    {"ltr-null", [] { LoadTask(0); }},
    {"ltr-beyond", [] { LoadTask(0xfff8); }},
    {"ltr-ldt", [] { LoadTask(0x18 | 4); }},
    {"ltr-data", [] { LoadTask(0x10); }},
    {"ltr-absent", [] { LoadTaskAt(reinterpret_cast<uint64_t>(task), 0x09); }},
    {"ltr-short",
     [] {
       LoadTaskAt(reinterpret_cast<uint64_t>(task), 0x89, 16);
       Fault();
     }},
    {"gdt-at",
     [] {
       LoadGdt(at, limit);
       LoadTask(0x18);
     }},
    {"idt-at",
     [] {
       LoadIdt(at, limit);
       Fault();
     }},
    {"task-at",
     [] {
       LoadTaskAt(at);
       Fault();
     }},
    {"stack-at",
     [] {
       __builtin_memcpy(task + 0x24, &at, sizeof(at));
       LoadTaskAt(reinterpret_cast<uint64_t>(task));
       Fault();
     }},
    {"no-idt",
     [] {
       LoadIdt(0, 0);
       Fault();
     }},
    {"empty-idt", [] { FaultInto(0, 0), Fault(); }},
    {"handler-at", [] { FaultInto(at, 0); }},
    {"handlers-at", [] { FaultForEverInto(at); }},
    {"handlers-jump",
     [] {
       jump_to = at;
       jump_stack = reinterpret_cast<uint64_t>(jump_stack_space) +
                    sizeof(jump_stack_space);
       FaultForEverInto(reinterpret_cast<uint64_t>(&JumpAgain));
     }},
    {"iretq-to",
     [] {
       asm volatile(
           "movq %%rsp, %%rax; pushq $0x10; pushq %%rax; pushfq; pushq $8; "
           "pushq %0; iretq"
           :
           : "r"(at)
           : "rax", "memory");
     }},
    {"lretq-to",
     [] {
       asm volatile("pushq $8; pushq %0; lretq" : : "r"(at) : "memory");
     }},
    {"breakpoint",
     [] {
       LoadIdt(0, 0);
       asm volatile("int3");
     }},
    {"lost-stack",
     [] {
       at_stack = at;
       SetGate(14, reinterpret_cast<uint64_t>(&LoseStack), 0);
       SetGate(12, reinterpret_cast<uint64_t>(&LoseStack), 0);
       SetGate(6, reinterpret_cast<uint64_t>(&LoseStack), 0);
       LoadIdt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
       Fault();
     }},
    // The stack in use is nowhere when the fault comes.
    {"no-stack",
     [] {
       SetGate(6, reinterpret_cast<uint64_t>(&LoseStack), 0);
       LoadIdt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
       asm volatile("movq %0, %%rsp; ud2" : : "r"(at));
     }},
};

}  // namespace

int Main() {
  const Options options("evil_tables", kOptions);
  if (options.Value("at").has_value()) at = AddressOption(options, "at");
  limit = static_cast<uint16_t>(options.Number("limit", 0xfff, 0xffff));
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
