// SPDX-License-Identifier: Apache-2.0
#pragma once

// The guest's memory as the tender may touch it. Addresses and lengths come
// from the guest and may be anything; what the guest itself may not write, no
// hypercall writes for it.

#include <cstdint>
#include <cstring>
#include <span>

#include "lib/solo5/unikernel.h"

namespace serai::tender::hvt {

// Copies what a guest has written. The compiler reads it once, here, so that
// what is checked is what is used, whatever the guest writes meanwhile.
template <typename T>
void CopyFromGuest(const void* from, T* to) {
  std::memcpy(to, from, sizeof(T));
  asm volatile("" : : : "memory");
}

class GuestMemory {
 public:
  // `base` is where guest address 0 stands; the segments outlive this object.
  GuestMemory(uint8_t* base, uint64_t size,
              std::span<const solo5::Segment> segments)
      : base_(base), size_(size), segments_(segments) {}

  uint64_t size() const { return size_; }

  // Whether [address, address + length) is memory that the guest can read, or
  // write. The first page has no mapping and the rest of the first MiB is
  // read-only, as the guest sees it.
  bool IsReadable(uint64_t address, uint64_t length) const;
  bool IsWritable(uint64_t address, uint64_t length) const;

  // Only for a range that was just found readable (or writable).
  uint8_t* At(uint64_t address) const { return base_ + address; }

  // Copies a structure out of the guest, or into it. False, with nothing done,
  // where the range is not the guest's to read (or write).
  template <typename T>
  bool Load(uint64_t address, T* value) const {
    if (!IsReadable(address, sizeof(T))) return false;
    CopyFromGuest(At(address), value);
    return true;
  }
  template <typename T>
  bool Store(uint64_t address, const T& value) const {
    if (!IsWritable(address, sizeof(T))) return false;
    std::memcpy(At(address), &value, sizeof(T));
    return true;
  }

 private:
  bool IsWithin(uint64_t lowest, uint64_t address, uint64_t length) const {
    return address >= lowest && address <= size_ && length <= size_ - address;
  }

  uint8_t* base_;
  uint64_t size_;
  std::span<const solo5::Segment> segments_;
};

}  // namespace serai::tender::hvt
