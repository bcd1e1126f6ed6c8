// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where things stand in the virtual machine. The guest's own memory starts at
// address 0. What only the tender may touch is a second piece of memory, the
// system area, beyond the reach of the guest's page tables and of every
// hypercall: descriptor tables, the ring-0 stub with its stack, and the page
// tables themselves.

#include <cstdint>

#include "lib/solo5/unikernel.h"

namespace serai::tender::hvt {

using solo5::kPageSize;

// Physical, and for its first three pages linear address.
inline constexpr uint64_t kSystemBase = solo5::kHvtMaxMemory;

enum SystemPage : uint64_t {
  kTablesPage = 0,  // GDT, TSS, IDT
  kStubPage = 1,
  kStackPage = 2,
  kMappedPages = 3,  // what follows is not mapped
  kPml4Page = 3,
  kPdptPage = 4,
  kSystemPdPage = 5,
  kSystemPtPage = 6,
  kGuestPdPage = 7,  // four: 1 GiB each
  kGuestPtPage = 11,
};

// A segment's two ends may each need a page table, and so does the first
// 2 MiB.
inline constexpr uint64_t kMaxGuestPts = 2 * solo5::kMaxSegments + 1;
inline constexpr uint64_t kSystemPages = kGuestPtPage + kMaxGuestPts;
inline constexpr uint64_t kSystemSize = kSystemPages * kPageSize;

constexpr uint64_t SystemAddress(uint64_t page) {
  return kSystemBase + page * kPageSize;
}

// Selectors. The guest runs with the user ones whatever it loads.
inline constexpr uint16_t kKernelCode = 0x10;
inline constexpr uint16_t kKernelData = 0x18;
inline constexpr uint16_t kUserData = 0x28 | 3;
inline constexpr uint16_t kUserCode = 0x30 | 3;
inline constexpr uint16_t kTaskState = 0x40;

inline constexpr uint64_t kGdtAddress = SystemAddress(kTablesPage);
inline constexpr uint16_t kGdtSize = 0x50;
inline constexpr uint64_t kIdtAddress = kGdtAddress + 0x200;
inline constexpr uint32_t kVectors = 32;
inline constexpr uint16_t kIdtSize = kVectors * 16;
// The task state with its map of the ports that level 3 may use, which ends
// with the net ring's. The processor reads a byte more.
inline constexpr uint64_t kTssAddress = kGdtAddress + 0x400;
inline constexpr uint16_t kPortMapOffset = 0x68;
inline constexpr uint16_t kPortMapSize = (solo5::kHvtRingPort + 3) / 8 + 2;
inline constexpr uint16_t kTssSize = kPortMapOffset + kPortMapSize;

inline constexpr uint64_t kStubAddress = SystemAddress(kStubPage);
inline constexpr uint64_t kStubSize = 16;  // of one vector's
inline constexpr uint64_t kStackTop = SystemAddress(kStackPage) + kPageSize;

}  // namespace serai::tender::hvt
