// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/status.h"

namespace serai::cri {

// What files take of a disk: blocks, not lengths, and a file of several names
// once.
struct DiskUsage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;  // files, directories and links

  DiskUsage& operator+=(const DiskUsage& other) {
    bytes += other.bytes;
    inodes += other.inodes;
    return *this;
  }
};

// Of all that is below `directory`; without that itself. What comes or goes
// meanwhile counts or not; a directory that is not there has nothing.
absl::StatusOr<DiskUsage> UsageBelow(const std::string& directory);

// Of `path` alone; nothing where it is not there.
DiskUsage UsageOf(const std::string& path);

}  // namespace serai::cri
