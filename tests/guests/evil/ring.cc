// SPDX-License-Identifier: Apache-2.0
// The network ring (hvt), filled with what is nobody's, and changed while the
// tender works on it.

#include "tests/guests/runtime/hvt/ring.h"

#include "tests/guests/evil/evil.h"
#include "tests/guests/runtime/hvt/hypercall.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"));

namespace {

constexpr OptionSpec kOptions[] = {kHowOption};

constexpr uint64_t kFourGiB = uint64_t{1} << 32;
constexpr uint32_t kHandle = 1;

alignas(64) std::byte buffer[4096];

template <typename T>
uint64_t Address(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

void Store(uint32_t& word, uint32_t value) {
  __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
}

// The tender has no way to answer but to end this.
[[noreturn]] void AwaitTheEnd() {
  while (true) __builtin_ia32_pause();
}

RingEntry& NextEntry() {
  return NetRing()->entries[NetRing()->entry_tail % kRingSlots];
}

void Add(uint32_t operation, uint64_t data, uint32_t size,
         uint32_t handle = kHandle) {
  NextEntry() = {operation, handle, data, size, 0, 0};
  Store(NetRing()->entry_tail, NetRing()->entry_tail + 1);
}

[[noreturn]] void Submit(uint32_t operation, uint64_t data, uint32_t size) {
  Add(operation, data, size);
  KickRing();
  AwaitTheEnd();
}

[[noreturn]] void MoveTail(uint32_t by) {
  Store(NetRing()->entry_tail, NetRing()->entry_tail + by);
  KickRing();
  AwaitTheEnd();
}

// Reads that are never looked at.
[[noreturn]] void LeaveAnswers() {
  while (true) {
    Add(kRingRead, Address(buffer), sizeof(buffer));
    KickRing();
    while (NetRing()->entry_head != NetRing()->entry_tail) {
      __builtin_ia32_pause();
    }
  }
}

void ClaimAnswers() {
  Store(NetRing()->commit_head, 5);
  Submit(kRingRead, Address(buffer), sizeof(buffer));
}

void UseBadHandles() {
  for (const uint32_t handle : {0u, 2u, 63u, 64u, 0xffffffffu}) {
    size_t size = sizeof(buffer);
    Print("evil: read from ", handle, ": ",
          Name(RingRead(handle, buffer, size)));
    RingWrite(handle, buffer, 64);
  }
}

// What the tender writes is read by the guest only.
void OverwriteTheTenders() {
  for (uint32_t i = 0; i < 2000; ++i) {
    Store(NetRing()->entry_head, i * 0x1234567);
    Store(NetRing()->commit_tail, ~i);
    Store(NetRing()->needs_kick, i);
    Add(kRingWrite, Address(buffer), 64);
    KickRing();
  }
}

// Entries that are right and wrong by turns while the tender takes them.
void ChangeEntries(RingEntry one, RingEntry other) {
  Ring* const ring = NetRing();
  for (uint32_t round = 0; round < 20'000; ++round) {
    for (RingEntry& entry : ring->entries) {
      entry = round % 2 == 0 ? one : other;
      if (ring->entry_tail - ring->entry_head < kRingSlots / 2) {
        Store(ring->entry_tail, ring->entry_tail + 1);
        Store(ring->commit_head, ring->commit_tail);
      }
    }
    KickRing();
  }
}

RingEntry Entry(uint32_t operation, uint64_t data, uint32_t size) {
  return {operation, kHandle, data, size, 0, 0};
}

// A hypercall's structure into which the ring reads frames meanwhile.
void ChangeArguments() {
  struct {
    uint64_t handle;
    uint64_t data;
    uint64_t size;
    int32_t result;
  } arguments;
  for (uint32_t round = 0; round < 20'000; ++round) {
    Store(NetRing()->commit_head, NetRing()->commit_tail);
    for (int i = 0; i < 8; ++i) {
      Add(kRingRead, Address(&arguments), sizeof(arguments));
    }
    KickRing();
    while (NetRing()->entry_head != NetRing()->entry_tail) {
      arguments = {kHandle, Address(buffer), 64, 0};
      Call(Hypercall::kNetWrite, &arguments);
    }
  }
}

// The last frames of many are on their way when the guest ends.
void ExitAtOnce() {
  for (int i = 0; i < 1000; ++i) Add(kRingWrite, Address(buffer), 64);
  KickRing();
  Exit(0);
}

void KickWith8Bits() {
  asm volatile("outb %b0, %1" : : "a"(0), "d"(kRingPort) : "memory");
}
void KickWith16Bits() {
  asm volatile("outw %w0, %1" : : "a"(0), "d"(kRingPort) : "memory");
}
void ReadThePort() {
  uint32_t value = 0;
  asm volatile("inl %1, %0" : "=a"(value) : "d"(kRingPort) : "memory");
}

constexpr Way kWays[] = {
    {"tail-beyond", [] { MoveTail(kRingSlots + 1); }},
    {"tail-half", [] { MoveTail(0x80000000); }},
    {"tail-back", [] { MoveTail(0xffffffff); }},
    {"answers-left", LeaveAnswers},
    {"answers-claimed", ClaimAnswers},
    {"operation-0", [] { Submit(0, Address(buffer), 64); }},
    {"operation-3", [] { Submit(3, Address(buffer), 64); }},
    {"write-null", [] { Submit(kRingWrite, 0, 64); }},
    {"write-ring", [] { Submit(kRingWrite, Address(NetRing()), 64); }},
    {"write-end", [] { Submit(kRingWrite, MemorySize() - 32, 64); }},
    {"write-system", [] { Submit(kRingWrite, kFourGiB, 64); }},
    {"write-wrap", [] { Submit(kRingWrite, ~uint64_t{31}, 64); }},
    {"write-huge", [] { Submit(kRingWrite, Address(buffer), 0xffffffff); }},
    {"read-null", [] { Submit(kRingRead, 0, 64); }},
    {"read-boot", [] { Submit(kRingRead, 0x10000, 64); }},
    {"read-text", [] { Submit(kRingRead, Address(&Main), 64); }},
    {"read-ring", [] { Submit(kRingRead, Address(NetRing()), 64); }},
    {"read-end", [] { Submit(kRingRead, MemorySize() - 32, 64); }},
    {"read-wrap", [] { Submit(kRingRead, ~uint64_t{31}, 64); }},
    {"read-huge", [] { Submit(kRingRead, Address(buffer), 0xffffffff); }},
    {"handles", UseBadHandles},
    {"overwrite", OverwriteTheTenders},
    {"change-write",
     [] {
       ChangeEntries(Entry(kRingWrite, Address(buffer), 64),
                     Entry(kRingWrite, MemorySize() - 16, 16));
     }},
    {"change-read",
     [] {
       ChangeEntries(Entry(kRingRead, Address(buffer), 64),
                     Entry(kRingRead, Address(&Main), 64));
     }},
    {"change-arguments", ChangeArguments},
    {"exit", ExitAtOnce},
    {"kick-8", KickWith8Bits},
    {"kick-16", KickWith16Bits},
    {"kick-in", ReadThePort},
    {"kick-forever",
     [] {
       while (true) KickRing();
     }},
    {"write-forever",
     [] {
       while (true) RingWrite(63, buffer, 64);
     }},
    {"wait-forever",
     [] {
       Add(kRingRead, Address(buffer), 64);
       AwaitTheEnd();
     }},
};

}  // namespace

int Main() {
  const Options options("evil_ring", kOptions);
  if (NetRing() == nullptr) {
    Print("evil: there is no ring");
    return kExitUsage;
  }
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
