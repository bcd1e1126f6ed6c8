// SPDX-License-Identifier: Apache-2.0
#pragma once

// The host's side of the network ring (lib/solo5/abi.h), without the thread
// that serves it (ring_thread.h). The guest may write anything anywhere in the
// ring at any time. What the host has written there it never reads again, an
// entry is copied before it is looked at, and a batch is bounded.

#include <cstdint>

#include "lib/solo5/abi.h"
#include "tender/counters.h"
#include "tender/devices.h"
#include "tender/hvt/memory.h"

namespace serai::tender::hvt {

class Ring {
 public:
  // Borrows all. `ring` is zeroed memory that the guest has beyond `memory`.
  Ring(solo5::HvtRing* ring, const GuestMemory* memory,
       const DeviceTable* devices, Counters* counters)
      : ring_(ring), memory_(memory), devices_(devices), counters_(counters) {}

  static constexpr uint32_t kBatch = 64;
  enum class Outcome { kIdle, kServed, kBroken };

  // Serves at most kBatch entries. kBroken from the first breach on, with which
  // the guest is to end.
  Outcome ServeBatch();

  // Whether the guest has added entries.
  bool HasEntries() const;

  // Whether the guest is to kick from here on. Entries that HasEntries() does
  // not see after this come with a kick.
  void AskForKicks(bool wanted);

  // After kBroken: ends the guest and says why.
  [[noreturn]] void EndGuest() const;

 private:
  enum class Breach { kNone, kEntryIndex, kCommitIndex, kOperation, kAccess };

  bool Break(Breach breach, uint64_t value, uint64_t length = 0);
  bool Serve(const solo5::HvtRingEntry& entry);
  bool Write(const solo5::HvtRingEntry& entry);
  bool Read(const solo5::HvtRingEntry& entry);
  bool Commit(const solo5::HvtRingCommit& commit);
  const Device* FindNet(uint32_t handle) const;

  solo5::HvtRing* ring_;
  const GuestMemory* memory_;
  const DeviceTable* devices_;
  Counters* counters_;
  uint32_t entry_head_ = 0;
  uint32_t commit_tail_ = 0;
  Breach breach_ = Breach::kNone;
  uint64_t value_ = 0;
  uint64_t length_ = 0;
};

}  // namespace serai::tender::hvt
