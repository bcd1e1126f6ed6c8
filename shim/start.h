// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shim's two commands.

#include <string>

#include "lib/base/status.h"
#include "shim/options.h"

namespace serai::shim {

// What the commands take from the process's surroundings.
struct Surroundings {
  std::string directory;         // the working directory
  std::string socket_directory;  // SERAI_SHIM_SOCKET_DIR, or /run/serai/s
  std::string tender;            // SERAI_TENDER, or where it is installed
  // SERAI_SHIM_CGROUP: the cgroup, by its path in the hierarchy, that a new
  // shim is in; empty: the caller's.
  std::string cgroup;
};

// Reads the environment and looks for the tender: beside this program, or in
// ../libexec/serai.
absl::StatusOr<Surroundings> LookAround();

// Starts the pod's shim, in a session of its own, unless it is there. The
// result is its address; it listens already. The shim's own messages go to
// shim.log in the working directory.
//
// Forks: returns in the parent. The child serves and does not return.
absl::StatusOr<std::string> StartShim(const Options& options,
                                      const Surroundings& surroundings);

// Cleans up what a dead shim left of the task whose bundle is the working
// directory (or options.bundle), and the shim's socket. The result is a
// serialised containerd DeleteResponse. Nothing left is success.
absl::StatusOr<std::string> DeleteLeftovers(const Options& options,
                                            const Surroundings& surroundings);

}  // namespace serai::shim
