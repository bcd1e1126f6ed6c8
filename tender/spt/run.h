// SPDX-License-Identifier: Apache-2.0
#pragma once

// The spt target: the unikernel is loaded into this very process, at its own
// addresses below the tender's, and makes the few system calls that a seccomp
// filter leaves it.

#include "tender/guest.h"

namespace serai::tender::spt {

// Becomes the guest. A fault of the guest's is a SIGSEGV of the process, a
// system call that it may not make a SIGSYS.
[[noreturn]] void Run(const Guest& guest);

}  // namespace serai::tender::spt
