// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small whole-file operations. Every descriptor is close-on-exec. Errors name
// the path and the system call.

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai {

// open(2) with O_CLOEXEC.
absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags,
                                  mode_t mode = 0600);

// The file's content; RESOURCE_EXHAUSTED when it is longer than `max_bytes`,
// NOT_FOUND when it does not exist.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// The rest of `fd`, bounded as above.
absl::StatusOr<std::string> ReadAll(int fd, size_t max_bytes);

// Writes all of `data` to `fd`, going on after EINTR and short writes.
absl::Status WriteAll(int fd, absl::string_view data);

// What a written file survives: a crash of this process, or one of the machine
// as well, for the price of waiting for the disk.
enum class Durability { kProcess, kMachine };

// Replaces `path` as one step: a temporary file beside it is written (and
// synced, for kMachine) and renamed over it. A reader, or a restart after a
// crash, sees the old or the new content, never a part. The temporary is
// removed on failure; only when the directory can't be synced in the end does
// the new content stand there with an error.
absl::Status WriteFileAtomic(const std::string& path, absl::string_view data,
                             mode_t mode = 0600,
                             Durability durability = Durability::kMachine);

// Writes to an existing file in one write(2), as cgroup, proc and sysctl files
// want it.
absl::Status WriteControlFile(const std::string& path, absl::string_view data);

// mkdir -p. Made directories get `mode`.
absl::Status MakeDirs(const std::string& path, mode_t mode = 0700);

// Removes a file or an empty directory; one that is not there is success.
absl::Status RemovePath(const std::string& path);

// rm -r that crosses no mount point and follows no symbolic link, however deep
// the tree is; a path that is not there is success.
absl::Status RemoveTree(const std::string& path);

// Names in a directory, without "." and "..", sorted.
absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path);

bool PathExists(const std::string& path);

// `dir`/`name` with exactly one slash between.
std::string JoinPath(absl::string_view dir, absl::string_view name);

}  // namespace serai
