// SPDX-License-Identifier: Apache-2.0
#pragma once

// A directory of files as a tar archive.

#include <string>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::cri {

// Writes the regular files of `directory` to a new tar archive (pax, with the
// holes of sparse files left out) at `path`, mode 0600, synced to the disk.
// ALREADY_EXISTS when there is something; DEADLINE_EXCEEDED. On failure nothing
// stays at `path`, and never a part under its name.
absl::Status WriteTar(const std::string& directory, const std::string& path,
                      absl::Time deadline);

}  // namespace serai::cri
