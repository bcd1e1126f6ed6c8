// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the virtual processor starts with and what it says of itself.

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>

namespace serai::tender::hvt {

// The state at entry: level 3, long mode, the system area's tables.
void SetStartRegisters(uint64_t entry, uint64_t memory, kvm_regs* regs);
void SetStartSystemRegisters(kvm_sregs* sregs);

// The segments of level 3, which the guest keeps whatever it tries to load.
void SetUserSegments(kvm_sregs* sregs);

// CPUID for the guest is an allow-list of the host's: what a program at level 3
// can use without an operating system's help. Nothing of virtualisation, and
// no AVX, which the guest could not switch on.
inline constexpr size_t kCpuidEntries = 7;
// A kvm_cpuid2 with its array; in C++ the kernel's own declaration has it at
// another place than in C.
struct CpuidTable {
  uint32_t count;
  uint32_t padding;
  kvm_cpuid_entry2 entries[kCpuidEntries];
};
static_assert(offsetof(CpuidTable, entries) == 8);
void FillCpuid(CpuidTable* table);

// The same as the instruction: leaf in EAX, ECX; result in EAX to EDX.
void GuestCpuid(kvm_regs* regs);

}  // namespace serai::tender::hvt
