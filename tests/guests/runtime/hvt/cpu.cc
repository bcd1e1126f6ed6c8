// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/runtime/hvt/cpu.h"

#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/hvt/hypercall.h"

// traps.S: an entry of 16 bytes for each vector.
extern "C" {
extern char serai_guest_trap_stubs[];
void serai_guest_trap(serai::guest::TrapFrame* frame);
}

namespace serai::guest {
namespace {

constexpr uint16_t kCodeSelector = 0x08;
constexpr uint16_t kDataSelector = 0x10;
constexpr uint16_t kTaskSelector = 0x18;
constexpr size_t kVectors = 32;
constexpr uint64_t kNmi = 2;
constexpr uint64_t kDoubleFault = 8;
constexpr uint64_t kPageFault = 14;
constexpr uint32_t kMsrFsBase = 0xc0000100;

struct [[gnu::packed]] TableRegister {
  uint16_t limit;
  uint64_t base;
};

struct [[gnu::packed]] TaskState {
  uint32_t reserved0;
  uint64_t rsp[3];
  uint64_t reserved1;
  uint64_t ist[7];
  uint64_t reserved2;
  uint16_t reserved3;
  uint16_t io_map;
};
static_assert(sizeof(TaskState) == 104);

struct Gate {
  uint16_t offset_low;
  uint16_t selector;
  uint8_t ist;
  uint8_t type;
  uint16_t offset_middle;
  uint32_t offset_high;
  uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

// Null, 64-bit code, data, and two words for the task state.
alignas(64) uint64_t gdt[5] = {0, 0x00af99000000ffff, 0x00cf93000000ffff};
alignas(64) Gate idt[kVectors];
TaskState task_state;
alignas(16) char trap_stack[8192];
alignas(16) char fatal_stack[8192];  // NMI and double fault
TrapHandler trap_handler;

template <typename T>
uint64_t Address(const T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

void LoadGdt() {
  const uint64_t task = Address(&task_state);
  gdt[3] = (sizeof(task_state) - 1) | (task & 0xffffff) << 16 |
           uint64_t{0x89} << 40 | (task >> 24 & 0xff) << 56;
  gdt[4] = task >> 32;
  const TableRegister table = {sizeof(gdt) - 1, Address(gdt)};
  uint64_t scratch;
  asm volatile(
      "lgdt %[table]\n\t"
      "pushq %[code]\n\t"
      "leaq 1f(%%rip), %[scratch]\n\t"
      "pushq %[scratch]\n\t"
      "lretq\n"
      "1:\n\t"
      "movl %[data], %%ss\n\t"
      "movl %[data], %%ds\n\t"
      "movl %[data], %%es"
      : [scratch] "=&r"(scratch)
      : [table] "m"(table), [code] "i"(kCodeSelector),
        [data] "r"(uint32_t{kDataSelector})
      : "memory");
}

void LoadTaskState() {
  task_state.ist[0] = Address(trap_stack + sizeof(trap_stack));
  task_state.ist[1] = Address(fatal_stack + sizeof(fatal_stack));
  task_state.io_map = sizeof(task_state);
  asm volatile("ltr %0" : : "r"(kTaskSelector) : "memory");
}

void LoadIdt() {
  for (size_t vector = 0; vector < kVectors; ++vector) {
    const uint64_t stub = Address(serai_guest_trap_stubs) + vector * 16;
    Gate& gate = idt[vector];
    gate.offset_low = static_cast<uint16_t>(stub);
    gate.offset_middle = static_cast<uint16_t>(stub >> 16);
    gate.offset_high = static_cast<uint32_t>(stub >> 32);
    gate.selector = kCodeSelector;
    gate.ist = vector == kNmi || vector == kDoubleFault ? 2 : 1;
    gate.type = 0x8e;  // present interrupt gate
  }
  const TableRegister table = {sizeof(idt) - 1, Address(idt)};
  asm volatile("lidt %0" : : "m"(table) : "memory");
}

// What a tender may dump: CR2, then the error code and all the processor saved.
struct Cookie {
  uint64_t cr2;
  uint64_t registers[6];
  uint8_t reserved[512 - 7 * 8];
};

}  // namespace

void InitializeProcessor() {
  LoadGdt();
  LoadTaskState();
  LoadIdt();
}

void SetFsBase(uint64_t base) {
  asm volatile("wrmsr"
               :
               : "c"(kMsrFsBase), "a"(static_cast<uint32_t>(base)),
                 "d"(static_cast<uint32_t>(base >> 32)));
}

bool SetTrapHandler(TrapHandler handler) {
  trap_handler = handler;
  return true;
}

}  // namespace serai::guest

void serai_guest_trap(serai::guest::TrapFrame* frame) {
  using namespace serai::guest;
  static Cookie cookie;
  if (trap_handler != nullptr && trap_handler(*frame)) return;
  Print("trap: vector ", frame->vector, " error ", Hex{frame->error}, " rip ",
        Hex{frame->rip}, " rsp ", Hex{frame->rsp});
  if (frame->vector == kPageFault) {
    asm volatile("movq %%cr2, %0" : "=r"(cookie.cr2));
    Print("trap: page fault at ", Hex{cookie.cr2});
  }
  __builtin_memcpy(cookie.registers, &frame->error, sizeof(cookie.registers));
  Print("ABORT");
  Halt(kExitAbort, &cookie);
}
