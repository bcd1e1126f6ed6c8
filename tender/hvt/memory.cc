// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/memory.h"

namespace serai::tender::hvt {

bool GuestMemory::IsReadable(uint64_t address, uint64_t length) const {
  if (!IsWithin(solo5::kHvtBootInfoAddress, address, length)) return false;
  for (const solo5::Segment& segment : segments_) {
    const bool overlaps =
        address < segment.PageEnd() && address + length > segment.PageStart();
    const bool accessible =
        segment.readable || segment.writable || segment.executable;
    if (overlaps && !accessible) return false;
  }
  return true;
}

bool GuestMemory::IsWritable(uint64_t address, uint64_t length) const {
  if (!IsWithin(solo5::kMinLoadAddress, address, length)) return false;
  for (const solo5::Segment& segment : segments_) {
    const bool overlaps =
        address < segment.PageEnd() && address + length > segment.PageStart();
    if (overlaps && !segment.writable) return false;
  }
  return true;
}

}  // namespace serai::tender::hvt
