// SPDX-License-Identifier: Apache-2.0
#pragma once

// What core files and snapshots have in common: the directory that they go to,
// the one descriptor that the policy leaves them, and which of the guest's
// pages are worth writing.

#include <cstdint>
#include <span>

#include "tender/options.h"

namespace serai::tender::hvt {

// The directory that `place` names. Ends the process where there is none;
// `option` is whose fault that is.
int OpenDirectory(const Place& place, const char* option);

// The number that the next file to be opened gets, as long as no other is
// opened or closed: the lowest that is free. `any` is open.
int NextDescriptor(int any);

// Writes all of it; false with errno.
[[nodiscard]] bool WriteAt(int fd, const void* data, uint64_t size,
                           uint64_t offset);

// Of the page of solo5::kPageSize bytes.
bool IsZeroPage(const uint8_t* page);

// Which pages of anonymous memory were ever touched: all others are zero, and
// looking at them would make memory of them.
class PageMap {
 public:
  // For memory at `base`. `fd` is Guest::page_map_fd; with -1 every page counts
  // as touched, which costs time only.
  PageMap(const uint8_t* base, int fd) : base_(base), fd_(fd) {}

  // Looks up the pages from `address` on, counted from `base`.
  void Read(uint64_t address, std::span<uint64_t> entries) const;
  // In memory, or swapped out.
  static constexpr bool IsTouched(uint64_t entry) {
    return (entry & kTouched) != 0;
  }

 private:
  static constexpr uint64_t kTouched = uint64_t{3} << 62;

  const uint8_t* base_;
  int fd_;
};

}  // namespace serai::tender::hvt
