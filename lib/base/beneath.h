// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files below a directory that others write to. The kernel resolves each path
// (openat2 RESOLVE_BENEATH): neither "..", nor an absolute path, nor a symbolic
// link leads out of the directory, and no magic link is followed. Any thread.

#include <cstdint>
#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai {

// openat2(2), close-on-exec, with the bits RESOLVE_… of `resolve`. 0, or errno:
// EAGAIN when others rename directories on the way again and again.
int OpenAt2(int dir_fd, const std::string& path, int flags, uint64_t resolve,
            UniqueFd& fd);

// Opens `path` below `dir_fd`, close-on-exec. INVALID_ARGUMENT, with a sentence
// that names it, for one that leads out; ABORTED when others rename directories
// on its way again and again; else as errno says.
absl::StatusOr<UniqueFd> OpenBeneath(int dir_fd, const std::string& path,
                                     int flags);

// Opens a regular file; INVALID_ARGUMENT when it is something else. Looks at it
// first: to open a device or a FIFO can do something.
absl::StatusOr<UniqueFd> OpenRegularBeneath(int dir_fd, const std::string& path,
                                            int flags);

}  // namespace serai
