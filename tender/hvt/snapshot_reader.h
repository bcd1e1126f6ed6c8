// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads a snapshot and makes a guest of it, as ReadUnikernel() and
// LoadSegments() do of a unikernel. A snapshot is hostile, as a unikernel is.

#include <cstdint>

#include "tender/guest.h"
#include "tender/hvt/snapshot_format.h"
#include "tender/loader.h"
#include "tender/options.h"

namespace serai::tender::hvt {

struct Snapshot {
  SnapshotState state;
  int memory_fd = -1;
};

// The machine file in the directory; false, with *error, where there is none
// that is in order.
bool ReadMachine(int directory, SnapshotState* state, solo5::Error* error);

// Reads and checks the snapshot that `options` name and makes *guest of it;
// devices are still to be attached. Ends the process with the reason where the
// snapshot or the other options do not allow it.
void ReadSnapshot(const Options& options, Snapshot* snapshot, Guest* guest);

// Checks the devices that were attached in *manifest against those that the
// guest knows, and makes them these.
void MatchDevices(const Snapshot& snapshot, const Options& options,
                  solo5::Manifest* manifest);

// Whether this host's processor has what the guest's had.
void CheckFeatures(const SnapshotState& state, const CpuidTable& cpuid);

// Maps the snapshot's memory, shared with all other guests of it until they
// write, and protects the segments of `unikernel` in it.
uint8_t* MapSnapshot(const Snapshot& snapshot,
                     const solo5::Unikernel& unikernel,
                     ProtectionOf protection);

}  // namespace serai::tender::hvt
