// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/runtime/hvt/ring.h"

namespace serai::guest {
namespace {

constexpr uint32_t kOffered = 1;  // in host_features
// Where frames stay until the tender has sent them. Fewer than the ring has
// entries for, to be small.
constexpr uint32_t kFrames = 32;
constexpr size_t kFrameSize = 2048;

Ring* ring;
alignas(64) std::byte frames[kFrames][kFrameSize];

uint32_t Load(const uint32_t& index) {
  return __atomic_load_n(&index, __ATOMIC_ACQUIRE);
}

void Pause() { __builtin_ia32_pause(); }

void Add(uint32_t operation, uint32_t handle, const void* data, size_t size) {
  const uint32_t tail = ring->entry_tail;
  RingEntry& entry = ring->entries[tail % kRingSlots];
  entry.operation = operation;
  entry.handle = handle;
  entry.data = reinterpret_cast<uint64_t>(data);
  entry.size = static_cast<uint32_t>(size);
  entry.id = tail;
  __atomic_store_n(&ring->entry_tail, tail + 1, __ATOMIC_RELEASE);
  // The tender asks for a kick before it looks for an entry a last time.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (Load(ring->needs_kick) != 0) KickRing();
}

}  // namespace

void UseRing(const HvtBootInfo& boot_info) {
  if ((boot_info.host_features & kOffered) == 0) return;
  ring = reinterpret_cast<Ring*>(boot_info.net_ring);
}

Ring* NetRing() { return ring; }

void KickRing() {
  asm volatile("outl %0, %1" : : "a"(0), "d"(kRingPort) : "memory");
}

bool RingWrite(uint32_t handle, const std::byte* data, size_t size) {
  if (ring == nullptr || size > kFrameSize) return false;
  const uint32_t tail = ring->entry_tail;
  while (tail - Load(ring->entry_head) >= kFrames) Pause();
  std::byte* const frame = frames[tail % kFrames];
  __builtin_memcpy(frame, data, size);
  Add(kRingWrite, handle, frame, size);
  return true;
}

IoResult RingRead(uint32_t handle, std::byte* data, size_t& size) {
  const uint32_t head = ring->commit_head;
  Add(kRingRead, handle, data, size);
  while (Load(ring->commit_tail) == head) Pause();
  const RingCommit& commit = ring->commits[head % kRingSlots];
  const auto result = static_cast<IoResult>(commit.result);
  size = commit.size;
  __atomic_store_n(&ring->commit_head, head + 1, __ATOMIC_RELEASE);
  return result;
}

}  // namespace serai::guest
