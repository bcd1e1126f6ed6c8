// SPDX-License-Identifier: Apache-2.0
#pragma once

// Network namespaces that live as a file: a bind mount of the namespace keeps
// it alive with no process in it. Any thread; the caller's own namespace is
// never changed, all work is done on a thread of its own.

#include <string>

#include "absl/functional/function_ref.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::host {

// Makes a network namespace, brings its `lo` up and mounts it on the new file
// `path`, whose parent directory must exist. ALREADY_EXISTS when there is
// something at `path`. On failure nothing is left.
//
// The directory need not be a mount of its own. Where its mount is shared, the
// namespace's mount is seen in the peers and leaves them with RemoveNetns().
absl::Status CreateNetns(const std::string& path);

// The namespace mounted on (or the /proc/PID/ns/net link at) `path`.
// INVALID_ARGUMENT when it is something else.
absl::StatusOr<UniqueFd> OpenNetns(const std::string& path);

// Unmounts and removes the file; what is not there, or is not mounted, is
// success. The kernel ends the namespace when no process and no descriptor
// holds it any more.
absl::Status RemoveNetns(const std::string& path);

// Runs `work` on a new thread inside the namespace and returns what it
// returns, or why the namespace could not be entered. Sockets that `work` opens
// stay in that namespace and can be used by any thread.
absl::Status RunInNetns(int netns_fd, absl::FunctionRef<absl::Status()> work);

}  // namespace serai::host
