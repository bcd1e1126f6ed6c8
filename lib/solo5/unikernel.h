// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads what a Solo5 unikernel's ELF file says of itself: target, ABI version,
// devices, and what is to be loaded where. The file is hostile: everything is
// copied with pread(), checked, and only then used; nothing is mapped and
// nothing allocated. The descriptor is borrowed and its offset untouched, so
// any number of threads may read one file.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/solo5/abi.h"

namespace serai::solo5 {

// Why a file was refused, so that a caller can tell a bystander from a victim.
enum class Problem {
  kNone,
  kIo,           // the file cannot be read (or is not a regular file)
  kNotSolo5,     // some other file: not ELF, or ELF with no Solo5 ABI note
  kUnsupported,  // a unikernel, but for another machine, target or ABI
  kDamaged,      // a unikernel that breaks its format's rules
};

struct Error {
  Problem problem = Problem::kNone;
  // One sentence in lower case without a full stop, fit to follow "FILE: ".
  char message[240] = {};
};

// A part of the file that stands in guest memory. Sizes and addresses are
// bytes. What readers may rely on: segments ascend and share no page, lie at or
// above kMinLoadAddress, their bytes exist in the file, none is both writable
// and executable, and `address + memory_size` rounded up to a page is at most
// `lowest_memory`.
struct Segment {
  uint64_t file_offset;
  uint64_t address;
  uint64_t file_size;    // > 0
  uint64_t memory_size;  // >= file_size; the rest is zeros
  bool readable;
  bool writable;
  bool executable;

  uint64_t PageStart() const { return address & ~(kPageSize - 1); }
  uint64_t PageEnd() const {
    return (address + memory_size + kPageSize - 1) & ~(kPageSize - 1);
  }
};

inline constexpr size_t kMaxSegments = 16;

struct Unikernel {
  Target target;
  uint32_t abi_version;
  uint64_t entry;
  // The end of the last segment, rounded up to a page.
  uint64_t kernel_end;
  // The least guest memory, in bytes, that holds every segment and the zeroed
  // data behind them: a multiple of 2 MiB for hvt and of 1 MiB for spt. A
  // guest wants more than this for its stack and heap.
  uint64_t lowest_memory;
  size_t segment_count;
  std::array<Segment, kMaxSegments> segments;
  // entry_count is in 1..kMaxManifestEntries, entries[0] is kReservedFirst,
  // names are 1 to 67 letters and digits, unique and NUL-terminated. A type may
  // be one that we do not know.
  Manifest manifest;

  std::span<const Segment> LoadedSegments() const {
    return {segments.data(), segment_count};
  }
  // The guest's devices, without the reserved first entry.
  std::span<const ManifestEntry> Devices() const {
    return {manifest.entries + 1, manifest.entry_count - size_t{1}};
  }
};

// Reads the unikernel in `fd`. False with *error filled when it is not one
// that can run on this machine; *unikernel is then unspecified.
[[nodiscard]] bool ReadUnikernel(int fd, Unikernel* unikernel, Error* error);

// Whether a manifest of at most kMaxManifestEntries entries, none of them
// attached, is what Unikernel::manifest says; else *error says why not.
[[nodiscard]] bool CheckManifest(const Manifest& manifest, Error* error);

// "hvt", "spt", …; "unknown" for a number that names no target.
const char* TargetName(Target target);
// "NET_BASIC", "BLOCK_BASIC"; "unknown" for any other.
const char* DeviceTypeName(DeviceType type);

}  // namespace serai::solo5
