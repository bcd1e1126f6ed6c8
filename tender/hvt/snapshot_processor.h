// SPDX-License-Identifier: Apache-2.0
#pragma once

// The virtual processor's part of a snapshot.

#include <span>

#include "tender/hvt/kvm.h"
#include "tender/hvt/snapshot_format.h"

namespace serai::tender::hvt {

// Fills state->processor, but for the tables, and the clock. The processor is
// between two instructions and its registers are the guest's. Returns the name
// of the call that failed, with errno, or null. `state->level` is set.
const char* SaveProcessor(Processor* processor, SnapshotState* state);

// Loads what SaveProcessor() saved into a processor that is set up for the
// level. The guest's clock goes on where it stopped; where this KVM gives its
// guests the host's clock, time has passed. Ends the tender where the
// processor does not take it.
void RestoreProcessor(const SnapshotState& state, Processor* processor);

}  // namespace serai::tender::hvt
