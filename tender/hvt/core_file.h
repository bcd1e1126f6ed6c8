// SPDX-License-Identifier: Apache-2.0
#pragma once

// The beginning of a core file (ELF, ET_CORE): what debuggers read of a
// process that Linux left one of, said of a guest. Behind it, from kDataOffset
// on, the file holds the guest's memory from kFirstAddress on, with holes for
// what is zero.

#include <linux/kvm.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/solo5/unikernel.h"

namespace serai::tender::hvt {

// What the guest's processor held.
struct CoreState {
  kvm_regs regs = {};
  kvm_sregs sregs = {};
  kvm_fpu fpu = {};
  int signal = 0;  // that would have ended a process in its place
  pid_t pid = 0;
  std::string_view program;    // the unikernel's path
  std::string_view arguments;  // its command line
};

// A part of guest memory of one kind.
struct CoreRange {
  uint64_t start = 0;
  uint64_t end = 0;
  uint32_t flags = 0;  // PF_R and so on
  // Up to here it is mapped from a file, so that even a page that nobody has
  // touched may hold something.
  uint64_t mapped_end = 0;
};

inline constexpr uint64_t kCoreFirstAddress = solo5::kHvtBootInfoAddress;
inline constexpr size_t kCoreHeaderSize = solo5::kPageSize;
inline constexpr size_t kMaxCoreRanges = 2 * solo5::kMaxSegments + 2;

// Where in the file guest address `address` stands.
constexpr uint64_t CoreOffset(uint64_t address) {
  return kCoreHeaderSize + (address - kCoreFirstAddress);
}

// Divides `memory` bytes of guest memory into ranges, which ascend and leave
// out nothing from kCoreFirstAddress on. Returns those of `ranges` used.
std::span<CoreRange> DivideMemory(
    std::span<const solo5::Segment> segments, uint64_t memory,
    bool executable_heap, std::array<CoreRange, kMaxCoreRanges>* ranges);

// Fills the file's first kCoreHeaderSize bytes. A range without any flags has
// no bytes in the file.
void BuildCoreHeader(const CoreState& state, std::span<const CoreRange> ranges,
                     uint8_t* header);

// The signal that a process gets for the exception `vector`.
int SignalOf(uint8_t vector);

}  // namespace serai::tender::hvt
