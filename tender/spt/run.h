// SPDX-License-Identifier: Apache-2.0
#pragma once

// The spt target: the unikernel is loaded into this very process, at its own
// addresses below the tender's. The tender then goes away but for a stub
// (stub.h), and the guest makes the few system calls that a seccomp filter
// leaves it.

#include "tender/guest.h"

namespace serai::tender::spt {

// Becomes the guest. A fault of the guest's ends the process by the signal for
// it, a system call that it may not make by SIGSYS; the stub says so first.
[[noreturn]] void Run(const Guest& guest);

}  // namespace serai::tender::spt
