// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs the guest at privilege level 0, as Solo5's own tender does: the whole
// processor is the guest's. It can replace its page tables, so what it may not
// do to its own memory is only enforced where the host's mapping of it does.
// For comparison, and for a KVM that cannot do level 3.

#include "tender/guest.h"
#include "tender/hvt/kvm.h"

namespace serai::tender::hvt {

// The state at entry, on page tables in the system area at `system`.
void SetUpLevel0(const Guest& guest, uint8_t* system, Processor* processor);

}  // namespace serai::tender::hvt
