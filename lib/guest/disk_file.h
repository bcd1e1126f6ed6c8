// SPDX-License-Identifier: Apache-2.0
#pragma once

// The disk of a guest in a directory: a raw image file.

#include <string>

#include "lib/base/status.h"

namespace serai::guest {

// "data.img".
std::string DiskFileName(const std::string& device);

// The name of the file that is `device`'s disk in the directory `dir_fd`:
// DiskFileName(), else the only regular file, as long as there is nothing
// beside it but a file system's lost+found. INVALID_ARGUMENT, with a sentence
// that says what would be right.
absl::StatusOr<std::string> FindDiskFile(int dir_fd, const std::string& device);

// INVALID_ARGUMENT for a size that no guest's disk has: nothing, or no whole
// number of sectors.
absl::Status CheckDiskSize(int64_t bytes);

}  // namespace serai::guest
