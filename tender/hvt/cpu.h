// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the virtual processor starts with and what it says of itself.

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>

namespace serai::tender::hvt {

// The state at entry: level 3, long mode, the system area's tables. `avx` is
// EnableAvx()'s answer.
void SetStartRegisters(uint64_t entry, uint64_t memory, kvm_regs* regs);
void SetStartSystemRegisters(bool avx, kvm_sregs* sregs);

// Lets a guest at level 3, which could not do so itself, use AVX where the host
// has it: XCR0 gets the states of x87, SSE and AVX. False where processor or
// KVM do not have them; the guest then finds no OSXSAVE in CPUID. After
// KVM_SET_CPUID2.
bool EnableAvx(int vcpu_fd);

// The segments of level 3, which the guest keeps whatever it tries to load.
void SetUserSegments(kvm_sregs* sregs);

// CPUID for the guest is an allow-list of the host's: what a program at level 3
// can use without an operating system's help, and AVX with what there is to
// save its state. Nothing of virtualisation, nor of AVX-512 and AMX, whose
// state would cost every exit.
inline constexpr size_t kCpuidEntries = 10;
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
void GuestCpuid(const kvm_sregs& sregs, kvm_regs* regs);

}  // namespace serai::tender::hvt
