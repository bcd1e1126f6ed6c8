// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's registers in gdb's order and back.

#include <linux/kvm.h>

#include "tender/gdb/registers.h"

namespace serai::tender::hvt {

struct ProcessorState {
  kvm_regs* regs;
  kvm_sregs* sregs;
  kvm_fpu* fpu;
};

void CopyRegisters(const ProcessorState& from, gdb::Registers* to);

// Selectors stay as they are, and so do the flags that are not a program's.
// False, with nothing done, where the processor would not take an address.
bool CopyRegisters(const gdb::Registers& from, const ProcessorState& to);

}  // namespace serai::tender::hvt
