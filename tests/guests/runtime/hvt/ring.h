// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's side of the network ring: frames pass through memory shared with
// the tender, and an `out` is only made where the tender sleeps.

#include "tests/guests/runtime/platform.h"

namespace serai::guest {

inline constexpr uint32_t kRingSlots = 1024;
inline constexpr uint16_t kRingPort = 0x600;
inline constexpr uint32_t kRingWrite = 1;
inline constexpr uint32_t kRingRead = 2;

struct RingEntry {
  uint32_t operation;
  uint32_t handle;
  uint64_t data;
  uint32_t size;
  uint32_t id;
  uint64_t reserved;
};
struct RingCommit {
  uint32_t id;
  int32_t result;
  uint32_t size;
  uint32_t reserved;
};
struct Ring {
  alignas(64) uint32_t entry_tail;  // ours
  uint32_t commit_head;
  alignas(64) uint32_t entry_head;  // the tender's
  uint32_t commit_tail;
  uint32_t needs_kick;
  alignas(64) RingEntry entries[kRingSlots];
  RingCommit commits[kRingSlots];
};
static_assert(sizeof(Ring) == 49280);

// What the tender offers is used from here on.
void UseRing(const HvtBootInfo& boot_info);

// The ring, or null where there is none.
Ring* NetRing();

// Wakes the tender whether or not it sleeps.
void KickRing();

// Whether the ring took the frame; it is copied.
bool RingWrite(uint32_t handle, const std::byte* data, size_t size);
// As NetRead(). There is a ring.
IoResult RingRead(uint32_t handle, std::byte* data, size_t& size);

}  // namespace serai::guest
