// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writes guest memory to a file with holes: only pages that are not zero, and
// without touching those that nobody has touched yet.

#include <cstdint>
#include <span>

#include "tender/hvt/snapshot_format.h"
#include "tender/hvt/state_file.h"

namespace serai::tender::hvt {

// Ascending ranges, the gaps between them merged where they are small or where
// there are too many.
class ExtentList {
 public:
  // `address` is not below the end of the last range.
  void Add(uint64_t address, uint64_t size);
  std::span<const SnapshotRange> ranges() const { return {ranges_, count_}; }

 private:
  void MergeClosest();

  SnapshotRange ranges_[kMaxExtents + 1];
  size_t count_ = 0;
};

class MemoryWriter {
 public:
  // For `size` bytes of guest memory at `base`. What is mapped there from files
  // is named by AddFile(); all else has been anonymous memory from the start.
  // `page_map_fd` is Guest::page_map_fd.
  MemoryWriter(const uint8_t* base, uint64_t size, int page_map_fd)
      : base_(base), size_(size), page_map_(base, page_map_fd) {}
  // At most kMaxExtents, ascending.
  void AddFile(const SnapshotRange& range) { files_[file_count_++] = range; }
  // This cannot be read, by the guest neither: its contents do not matter.
  void AddInaccessible(const SnapshotRange& range);

  // Writes to `fd` what is not zero, each byte at its address, and adds where
  // that is to *extents. How many bytes, or -1 with errno.
  int64_t Write(int fd, ExtentList* extents) const;

 private:
  class Run;

  bool MayHoldSomething(uint64_t address, uint64_t entry) const;

  const uint8_t* base_;
  uint64_t size_;
  PageMap page_map_;
  SnapshotRange files_[kMaxExtents];
  size_t file_count_ = 0;
  SnapshotRange inaccessible_[solo5::kMaxSegments];
  size_t inaccessible_count_ = 0;
};

}  // namespace serai::tender::hvt
