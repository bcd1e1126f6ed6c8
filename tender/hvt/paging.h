// SPDX-License-Identifier: Apache-2.0
#pragma once

// The page tables an hvt guest runs on. They map its memory one to one, with
// what its ELF file says of each segment: nothing is both writable and
// executable, and what is no segment is data. Since the guest is at privilege
// level 3 it can neither change nor replace them.

#include <cstdint>
#include <span>

#include "lib/solo5/unikernel.h"

namespace serai::tender::hvt {

// Bits of an entry.
inline constexpr uint64_t kPresent = 1 << 0;
inline constexpr uint64_t kWritable = 1 << 1;
inline constexpr uint64_t kUser = 1 << 2;
inline constexpr uint64_t kAccessed = 1 << 5;
inline constexpr uint64_t kDirty = 1 << 6;
inline constexpr uint64_t kLarge = 1 << 7;
inline constexpr uint64_t kNoExecute = uint64_t{1} << 63;
inline constexpr uint64_t kAddressMask = 0x000ffffffffff000;

// Fills the page tables in the system area at `system` (zeroed, laid out as
// layout.h says) for a guest of `memory` bytes with these segments.
void BuildPageTables(uint8_t* system, uint64_t memory,
                     std::span<const solo5::Segment> segments,
                     bool executable_heap);

// The same for a guest at level 0, as Solo5's tender has them: its own memory
// is all writable and executable, and nothing of the system area is mapped.
void BuildLevel0PageTables(uint8_t* system, uint64_t memory);

}  // namespace serai::tender::hvt
