// SPDX-License-Identifier: Apache-2.0
#pragma once

// Takes snapshots of the guest where --snapshot-to asks for it: a restored
// guest goes on where this one was.

#include <cstdint>

#include "tender/filter.h"
#include "tender/guest.h"
#include "tender/hvt/emulate.h"
#include "tender/hvt/hypercall.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/snapshot_format.h"
#include "tender/hvt/snapshot_memory.h"
#include "tender/hvt/snapshot_writer.h"

namespace serai::tender::hvt {

class Snapshots {
 public:
  // Opens what a snapshot takes. Borrows all; `emulator` is null for a guest at
  // level 0. Ends the process where the options do not allow snapshots.
  Snapshots(const Guest& guest, const uint8_t* base, Processor* processor,
            const Hypercalls* hypercalls, const Emulator* emulator,
            const CpuidTable& cpuid);

  // What the policy leaves open of it. Comes last: nothing may open or close a
  // descriptor afterwards.
  void Bind(Bindings* bindings);

  // Takes one, with the processor between two of the guest's instructions, and
  // tells how that went: {"snapshot":"done","bytes":N,"microseconds":N} or
  // {"snapshot":"failed","message":…} on the status descriptor, a failure on
  // stderr too. The guest can go on in any case.
  void Take();

 private:
  bool TryTake(int64_t* bytes, const char** failed);

  Processor* processor_;
  const Hypercalls* hypercalls_;
  const Emulator* emulator_;
  MemoryWriter memory_;
  SnapshotWriter writer_;
  SnapshotState state_;
};

}  // namespace serai::tender::hvt
