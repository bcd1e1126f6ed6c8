// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the files of a snapshot hold (docs/formats/snapshot.md). Integers are
// little-endian; the structures stand in the file as they do in memory.

#include <linux/kvm.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/solo5/unikernel.h"
#include "tender/hvt/cpu.h"
#include "tender/hvt/emulate.h"

namespace serai::tender::hvt {

static_assert(std::endian::native == std::endian::little);

// The names in the snapshot's directory. There are two for the memory, so that
// a new one can be written while the old one is whole.
inline constexpr char kMachineName[] = "machine";
inline constexpr char kNewMachineName[] = "machine.new";
inline constexpr char kMemoryName0[] = "memory.0";
inline constexpr char kMemoryName1[] = "memory.1";

constexpr const char* MemoryName(uint32_t number) {
  return number == 0 ? kMemoryName0 : kMemoryName1;
}

inline constexpr std::array<char, 8> kSnapshotMagic = {'S', 'E', 'R', 'A',
                                                       'I', 'S', 'N', 'P'};
inline constexpr uint32_t kSnapshotVersion = 1;

// Says which snapshot a file belongs to.
using SnapshotId = std::array<uint64_t, 2>;

// The memory file is guest memory from address 0 on, and behind it this, in a
// page of its own.
struct MemoryTrailer {
  std::array<char, 8> magic;
  SnapshotId id;
  uint8_t reserved[solo5::kPageSize - 24];
};
static_assert(sizeof(MemoryTrailer) == solo5::kPageSize);

// A range of guest memory, in whole pages.
struct SnapshotRange {
  uint64_t address;
  uint64_t size;

  uint64_t End() const { return address + size; }
};

struct SnapshotSegment {
  enum : uint32_t { kReadable = 1, kWritable = 2, kExecutable = 4 };

  SnapshotRange range;
  uint32_t access;
  uint32_t reserved;
};

struct SnapshotLeaf {
  uint32_t function, index;
  uint32_t eax, ebx, ecx, edx;
};

// An exception that the processor was about to take.
struct SnapshotException {
  uint8_t pending;
  uint8_t vector;
  uint8_t has_error;
  uint8_t reserved;
  uint32_t error;
};

// The MSRs that a guest at level 0 has to itself, in the order of the file.
inline constexpr uint32_t kSavedMsrs[] = {
    0xc0000081,  // STAR
    0xc0000082,  // LSTAR
    0xc0000083,  // CSTAR
    0xc0000084,  // SFMASK
    0xc0000102,  // KERNEL_GS_BASE
    0x174,       // SYSENTER_CS
    0x175,       // SYSENTER_ESP
    0x176,       // SYSENTER_EIP
    0x277,       // PAT
    0xc0000103,  // TSC_AUX
};
inline constexpr size_t kSavedMsrCount = std::size(kSavedMsrs);

// The virtual processor. Where a type is the kernel's, so is the layout.
struct SnapshotProcessor {
  kvm_regs regs;
  // Of a guest at level 3 only the bases of FS and GS, and CR2: all else there
  // is the tender's.
  kvm_sregs sregs;
  // KVM_GET_XSAVE's: what XSAVE stores, in the standard form.
  uint32_t xsave[1024];
  uint64_t xcr0;
  SnapshotException exception;
  Emulator::Tables tables;        // level 3
  kvm_debugregs debug;            // level 0
  uint64_t msrs[kSavedMsrCount];  // level 0
};

inline constexpr size_t kMaxExtents = 64;

// The machine file, all of it.
struct SnapshotState {
  enum : uint32_t { kExecutableHeap = 1 };

  std::array<char, 8> magic;
  uint32_t version;
  uint32_t size;      // of the file, bytes
  uint64_t checksum;  // Checksum() of all that follows
  SnapshotId id;
  uint32_t memory_number;  // which of the two memory files
  uint32_t level;          // 0 or 3
  uint32_t flags;
  uint32_t tsc_khz;
  uint64_t tsc;     // the guest's, when it stopped
  uint64_t memory;  // bytes
  // A poll that the guest was asleep in: where its argument is, and the
  // nanoseconds that were left. Address 0: it was not.
  uint64_t poll_address;
  uint64_t poll_timeout;
  uint32_t segment_count;
  uint32_t extent_count;
  SnapshotSegment segments[solo5::kMaxSegments];
  // Where the memory file holds anything; all else is zeros.
  SnapshotRange extents[kMaxExtents];
  SnapshotLeaf cpuid[kCpuidEntries];
  SnapshotProcessor processor;
  solo5::Manifest manifest;  // as the guest has it

  std::span<const SnapshotRange> Extents() const {
    return {extents, extent_count};
  }
};
// No padding, which would be neither written nor checked the same everywhere.
static_assert(sizeof(SnapshotProcessor) ==
              144 + 312 + 4096 + 8 + 8 + 40 + 128 + 8 * kSavedMsrCount);
static_assert(offsetof(SnapshotState, id) == 24);
static_assert(offsetof(SnapshotState, segments) == 96);
static_assert(offsetof(SnapshotState, extents) == 96 + 16 * 24);
static_assert(offsetof(SnapshotState, cpuid) == 480 + 64 * 16);
static_assert(offsetof(SnapshotState, processor) ==
              1504 + kCpuidEntries * sizeof(SnapshotLeaf));
static_assert(sizeof(SnapshotState) == offsetof(SnapshotState, processor) +
                                           sizeof(SnapshotProcessor) +
                                           sizeof(solo5::Manifest));

// Of the bytes behind `checksum`.
uint64_t Checksum(const SnapshotState& state);

// Whether `state`, read from a file of `size` bytes, is one that a machine can
// be built of; else *error says what is wrong. What only KVM can judge is left
// to it.
[[nodiscard]] bool CheckSnapshot(const SnapshotState& state, size_t size,
                                 solo5::Error* error);

}  // namespace serai::tender::hvt
