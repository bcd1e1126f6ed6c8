// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shim's two commands.

#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "shim/bootstrap.h"
#include "shim/options.h"

namespace serai::shim {

// What the commands take from the process's surroundings.
struct Surroundings {
  std::string directory;         // the working directory
  std::string socket_directory;  // SERAI_SHIM_SOCKET_DIR; empty: not set
  std::string tender;            // SERAI_TENDER, or where it is installed
  // SERAI_SHIM_CGROUP: the cgroup that a new shim is in, by its path in the
  // hierarchy, or "SLICE:PREFIX:NAME" of a scope of systemd's; empty: the
  // caller's.
  std::string cgroup;
  Environment environment;
};

// Reads the environment and looks for the tender: beside this program, or in
// ../libexec/serai.
absl::StatusOr<Surroundings> LookAround();

// Standard input to its end: nothing when that is a terminal. A caller that
// does not come to an end is given up after a few seconds.
absl::StatusOr<std::string> ReadInput();

// Starts the shim of the pod that the container in the working directory's
// bundle belongs to, unless it is there. The result is the answer that the
// caller expects (bootstrap.h) to `input`; the shim listens already. Its own
// messages go to containerd's FIFO `log` in the working directory, or to
// shim.log there.
//
// Forks: returns in the parent. The child serves and does not return.
absl::StatusOr<std::string> StartShim(const Options& options,
                                      const Surroundings& surroundings,
                                      absl::string_view input);

// Cleans up what is left of the task whose bundle is options.bundle, or the
// working directory: with the help of its shim when that lives (which leaves
// the pod's other tasks alone), else without, and then the shim's socket and
// the tasks that had no shim but it. The result is a serialised containerd
// DeleteResponse with the exit status, as far as anybody saw it. Nothing left
// is success. What is damaged or missing in the bundle is told on stderr, and
// cleaned up after as far as it can be known.
absl::StatusOr<std::string> DeleteLeftovers(const Options& options,
                                            const Surroundings& surroundings);

}  // namespace serai::shim
