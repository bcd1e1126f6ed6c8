// SPDX-License-Identifier: Apache-2.0
#pragma once

// Plays ring 0 for a guest that was built for it but runs at level 3. What it
// loads into the processor (descriptor tables, task register) is kept here and
// used for one thing: to deliver its exceptions as the processor would have.

#include <linux/kvm.h>

#include <cstdint>

#include "tender/hvt/memory.h"

namespace serai::tender::hvt {

// Exceptions by their vector.
inline constexpr uint8_t kDebug = 1;
inline constexpr uint8_t kBreakpoint = 3;
inline constexpr uint8_t kInvalidOpcode = 6;
inline constexpr uint8_t kGeneralProtection = 13;
inline constexpr uint8_t kPageFault = 14;

// In RFLAGS: lets level 3 use I/O ports, which is where hypercalls go.
inline constexpr uint64_t kIoAtLevel3 = 0x3000;
inline constexpr uint64_t kAlwaysSet = 0x2;

// An exception of the guest's. The processor's registers say where.
struct Exception {
  uint8_t vector = 0;
  uint64_t error = 0;
};

class Emulator {
 public:
  // `memory` must outlive this object.
  explicit Emulator(const GuestMemory* memory) : memory_(memory) {}

  enum class Outcome {
    kDone,    // the instruction is done and RIP is behind it
    kOut,     // it is `out`; RIP is behind it, port, size and value are in Io
    kPort,    // it uses the port in Io in another way: `in`, `ins`, `outs`
    kHalt,    // it is `hlt`
    kRefuse,  // not ours to do: the guest gets the exception
  };
  struct Io {
    uint16_t port = 0;
    uint8_t size = 0;
    uint32_t value = 0;
  };

  // Does the instruction at regs->rip, which the processor has refused.
  Outcome Step(kvm_regs* regs, kvm_sregs* sregs, Io* io);

  // Lets the guest go on in its own handler for the exception. False where it
  // has none or its tables are broken; the processor would then have reset.
  bool Deliver(const Exception& exception, kvm_regs* regs) const;

  // What the guest has loaded so far, all of it from its own memory.
  struct Tables {
    uint64_t gdt_base = 0;
    uint64_t idt_base = 0;
    uint64_t task_base = 0;
    uint32_t task_limit = 0;
    uint16_t gdt_limit = 0;
    uint16_t idt_limit = 0;
    // What swapgs exchanges the base of GS with.
    uint64_t other_gs_base = 0;
  };
  Tables tables() const;
  void SetTables(const Tables& tables);

 private:
  struct Table {
    uint16_t limit;
    uint64_t base;
  } __attribute__((packed));

  Outcome Execute(const struct Instruction& instruction, kvm_regs* regs,
                  kvm_sregs* sregs, Io* io);
  // The register that rdmsr and wrmsr mean; null where it is not the guest's.
  __u64* Msr(uint32_t number, kvm_sregs* sregs);
  Outcome ReadMsr(kvm_regs* regs, kvm_sregs* sregs);
  Outcome WriteMsr(const kvm_regs& regs, kvm_sregs* sregs);
  Outcome LoadTable(uint64_t address, Table* table) const;
  Outcome LoadTask(const struct Instruction& instruction, const kvm_regs& regs);
  Outcome LoadSegment(const struct Instruction& instruction,
                      kvm_sregs* sregs) const;
  Outcome FarReturn(kvm_regs* regs) const;
  Outcome InterruptReturn(kvm_regs* regs) const;
  Outcome ReadControl(const struct Instruction& instruction, kvm_regs* regs,
                      const kvm_sregs& sregs) const;
  bool FindStack(uint8_t index, uint64_t* stack) const;

  const GuestMemory* memory_;
  Table gdt_ = {};
  Table idt_ = {};
  uint64_t task_base_ = 0;
  uint32_t task_limit_ = 0;
  __u64 other_gs_base_ = 0;
};

}  // namespace serai::tender::hvt
