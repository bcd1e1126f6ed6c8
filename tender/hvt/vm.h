// SPDX-License-Identifier: Apache-2.0
#pragma once

// The hvt target: a virtual machine of KVM's with one processor, no devices and
// no interrupts. The guest, though built for ring 0, runs at level 3.

#include "tender/guest.h"

namespace serai::tender::hvt {

// Builds the machine, gives up every system call that is not needed to serve
// it, and runs the guest until it ends.
[[noreturn]] void Run(const Guest& guest);

}  // namespace serai::tender::hvt
