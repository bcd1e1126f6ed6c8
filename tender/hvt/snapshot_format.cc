// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_format.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "tender/hvt/layout.h"
#include "tender/hvt/stub.h"

namespace serai::tender::hvt {
namespace {

using solo5::kHvtLargePage;
using solo5::kPageSize;

// Where the guest's half of the address space ends at level 3.
constexpr uint64_t kAddressLimit = uint64_t{1} << 47;
// The flags that a program at level 3 can have: its own, TF, IF, NT, RF.
constexpr uint64_t kLevel3Flags = 0x254fd5 | kIoAtLevel3 | kAlwaysSet;
// The modes of a guest at level 0: none that its CPUID does not show, above
// all no virtualisation. CR4: VME to OSXMMEXCPT, OSXSAVE. EFER: SCE, LME, LMA,
// NXE.
constexpr uint64_t kLevel0Cr4 = 0x407ff;
constexpr uint64_t kLevel0Efer = 0xd01;
constexpr uint8_t kNmi = 2;
constexpr uint64_t kChecksumStart = 0xcbf29ce484222325;
constexpr uint64_t kChecksumFactor = 0x100000001b3;

[[gnu::format(printf, 2, 3)]] bool Fail(solo5::Error* error, const char* format,
                                        ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  error->problem = solo5::Problem::kDamaged;
  return false;
}

// The ranges ascend from `lowest` on, in whole pages, and end by `memory`.
// *lowest is then behind this one.
bool IsNext(const SnapshotRange& range, uint64_t memory, uint64_t* lowest) {
  if (range.address % kPageSize != 0 || range.size % kPageSize != 0 ||
      range.size == 0 || range.address < *lowest || range.address > memory ||
      range.size > memory - range.address) {
    return false;
  }
  *lowest = range.End();
  return true;
}

bool CheckHeader(const SnapshotState& state, size_t size, solo5::Error* error) {
  if (size < offsetof(SnapshotState, id) || state.magic != kSnapshotMagic) {
    return Fail(error, "is no snapshot");
  }
  if (state.version != kSnapshotVersion) {
    return Fail(error, "has format version %u; %u is needed", state.version,
                kSnapshotVersion);
  }
  if (size != sizeof(state) || state.size != sizeof(state)) {
    return Fail(error, "has %zu bytes, says %u, must have %zu", size,
                state.size, sizeof(state));
  }
  if (state.checksum != Checksum(state)) {
    return Fail(error, "is damaged: the checksum is wrong");
  }
  return true;
}

bool CheckMemory(const SnapshotState& state, solo5::Error* error) {
  if (state.memory_number > 1 ||
      (state.flags & ~uint32_t{SnapshotState::kExecutableHeap}) != 0 ||
      (state.level != 0 && state.level != 3)) {
    return Fail(error, "has an unknown memory file, level or flag");
  }
  if (state.memory % kHvtLargePage != 0 || state.memory == 0 ||
      state.memory > solo5::kHvtMaxMemory) {
    return Fail(error, "has an impossible size of memory");
  }
  if (state.poll_address >= state.memory) {
    return Fail(error, "has the guest asleep outside of its memory");
  }
  if (state.segment_count == 0 || state.segment_count > solo5::kMaxSegments ||
      state.extent_count > kMaxExtents) {
    return Fail(error, "has too many parts of memory, or none");
  }
  uint64_t lowest = solo5::kMinLoadAddress;
  for (uint32_t i = 0; i < state.segment_count; ++i) {
    const SnapshotSegment& segment = state.segments[i];
    constexpr uint32_t kBoth =
        SnapshotSegment::kWritable | SnapshotSegment::kExecutable;
    if (!IsNext(segment.range, state.memory, &lowest) || segment.access > 7 ||
        (segment.access & kBoth) == kBoth) {
      return Fail(error, "segment %u is impossible", i);
    }
  }
  lowest = 0;
  for (uint32_t i = 0; i < state.extent_count; ++i) {
    if (!IsNext(state.extents[i], state.memory, &lowest)) {
      return Fail(error, "extent %u is impossible", i);
    }
  }
  return true;
}

// All devices attached, and otherwise as in a unikernel's file.
bool CheckDevices(const SnapshotState& state, solo5::Error* error) {
  static solo5::Manifest manifest;  // large for a stack
  manifest = state.manifest;
  if (manifest.version != solo5::kManifestVersion || manifest.entry_count < 1 ||
      manifest.entry_count > solo5::kMaxManifestEntries) {
    return Fail(error, "has an impossible manifest");
  }
  for (uint32_t i = 1; i < manifest.entry_count; ++i) {
    solo5::ManifestEntry& entry = manifest.entries[i];
    if (entry.attached != 1 || (entry.type != solo5::DeviceType::kNet &&
                                entry.type != solo5::DeviceType::kBlock)) {
      return Fail(error, "device %u is impossible", i);
    }
    entry.attached = 0;
  }
  return solo5::CheckManifest(manifest, error);
}

bool CheckLevel3(const SnapshotProcessor& processor, solo5::Error* error) {
  const kvm_regs& regs = processor.regs;
  if (regs.rip >= kAddressLimit || (regs.rflags & ~kLevel3Flags) != 0 ||
      processor.sregs.fs.base >= kAddressLimit ||
      processor.sregs.gs.base >= kAddressLimit ||
      processor.tables.other_gs_base >= kAddressLimit) {
    return Fail(error, "has registers that no guest at level 3 can have");
  }
  return true;
}

bool CheckLevel0(const SnapshotProcessor& processor, solo5::Error* error) {
  if ((processor.sregs.cr4 & ~kLevel0Cr4) != 0 ||
      (processor.sregs.efer & ~kLevel0Efer) != 0) {
    return Fail(error, "has the processor in a mode that no guest can use");
  }
  return true;
}

bool CheckProcessor(const SnapshotState& state, solo5::Error* error) {
  if (state.tsc_khz == 0) return Fail(error, "has no clock");
  const SnapshotException& exception = state.processor.exception;
  if (exception.pending > 1 ||
      (exception.pending == 1 &&
       (exception.vector >= kVectors || exception.vector == kNmi ||
        exception.has_error != (HasErrorCode(exception.vector) ? 1 : 0)))) {
    return Fail(error, "has an impossible exception");
  }
  return state.level == 3 ? CheckLevel3(state.processor, error)
                          : CheckLevel0(state.processor, error);
}

}  // namespace

// FNV-1a, in words of 8 bytes: it finds accidents, not attacks.
uint64_t Checksum(const SnapshotState& state) {
  constexpr size_t kStart = offsetof(SnapshotState, id);
  static_assert((sizeof(state) - kStart) % sizeof(uint64_t) == 0);
  uint64_t sum = kChecksumStart;
  for (size_t at = kStart; at < sizeof(state); at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const char*>(&state) + at,
                sizeof(word));
    sum = (sum ^ word) * kChecksumFactor;
  }
  return sum;
}

bool CheckSnapshot(const SnapshotState& state, size_t size,
                   solo5::Error* error) {
  return CheckHeader(state, size, error) && CheckMemory(state, error) &&
         CheckDevices(state, error) && CheckProcessor(state, error);
}

}  // namespace serai::tender::hvt
