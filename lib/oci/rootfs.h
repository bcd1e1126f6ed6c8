// SPDX-License-Identifier: Apache-2.0
#pragma once

// Paths inside an image's root file system. Everything in it is hostile: each
// path is resolved by the kernel with that directory as its root
// (openat2 RESOLVE_IN_ROOT), so that neither "..", nor an absolute path, nor a
// symbolic link leads out of it.

#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::oci {

// Opens `path` (relative or absolute, meant from the root) below `root_fd`,
// close-on-exec, never through a magic link. NOT_FOUND, or FAILED_PRECONDITION
// for a symlink loop, as errno says.
absl::StatusOr<UniqueFd> OpenInRoot(int root_fd, const std::string& path,
                                    int flags);

// Where `fd` is below `root_fd`: absolute from the root, without any symbolic
// link; "/" for the root itself.
absl::StatusOr<std::string> PathInRoot(int root_fd, int fd);

// A regular file in a root: where it really is.
struct RootFile {
  UniqueFd fd;       // open for reading
  std::string path;  // absolute from the root, without any symbolic link
};

// Opens a regular file for reading. INVALID_ARGUMENT when it is something else,
// NOT_FOUND when it is not there. Never blocks, whatever the path is.
absl::StatusOr<RootFile> OpenRegularInRoot(int root_fd,
                                           const std::string& path);

}  // namespace serai::oci
