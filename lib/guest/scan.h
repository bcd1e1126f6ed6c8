// SPDX-License-Identifier: Apache-2.0
#pragma once

// Looks at every file of an image's root file system for unikernels.

#include <cstddef>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/solo5/unikernel.h"

namespace serai::guest {

struct ScannedFile {
  std::string path;  // absolute from the root
  solo5::Unikernel unikernel;
};

struct ScanResult {
  size_t file_count = 0;  // regular files seen
  std::vector<ScannedFile> unikernels;
  // "PATH: why", of unikernels that cannot be run on this machine.
  std::vector<std::string> refused;
};

// Follows no symbolic link. Stops looking after 16 unikernels: an image with so
// many must name one. INVALID_ARGUMENT for a tree of more than 100,000 entries
// or 100 levels before that.
absl::StatusOr<ScanResult> ScanForUnikernels(int root_fd);

}  // namespace serai::guest
