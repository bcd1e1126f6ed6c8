// SPDX-License-Identifier: Apache-2.0
#pragma once

// A directory of files as a tar archive.

#include <string>

#include "lib/base/deadline.h"
#include "lib/base/status.h"

namespace serai::cri {

// Writes the regular files of `directory` to a new tar archive (pax, with the
// holes of sparse files left out) at `path`, mode 0600, synced to the disk.
// ALREADY_EXISTS when there is something; DEADLINE_EXCEEDED. On failure nothing
// stays at `path`, and never a part under its name: that is `path`.part until
// it is whole, of which what a crash has left is replaced. To be called once at
// a time for a path.
absl::Status WriteTar(const std::string& directory, const std::string& path,
                      const Deadline& deadline);

}  // namespace serai::cri
