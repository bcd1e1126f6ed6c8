// SPDX-License-Identifier: Apache-2.0
#pragma once

// The jail (--jail): what the tender gives up before it looks at the guest.
// Afterwards it has the descriptors that it was given or opened, and nothing
// else that a guest could reach that takes it over; the seccomp filter
// (filter.h), which is there with and without a jail, then says what it can do
// with those. README.md describes the whole.

#include <span>

#include "tender/options.h"

namespace serai::tender {

// Does what `options` say. Of the descriptors, standard output, standard error,
// those in `options` and `others` stay open; those that are negative are none.
// With a PID namespace it returns in a child; the process itself stays behind
// and ends as the child ends. Ends the process with a message where anything
// can't be done: a jail that is none would be worse.
void EnterJail(const Options& options, std::span<const int> others);

// For a guest that is a process: it never makes another. An hvt guest's tender
// may not, either, but KVM starts a thread in it.
void ForbidProcesses();

}  // namespace serai::tender
