// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shim while it serves: the loop, the server on the socket, the pod's
// tasks.

#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::shim {

struct DaemonConfig {
  UniqueFd listener;
  std::string socket_path;     // removed at the end
  std::string tender;          // the program
  std::string namespace_name;  // containerd's
  std::string pod;             // the id that the shim is started for
  // containerd's ttrpc socket, for events; empty: nobody wants them.
  std::string events_address;
};

// Serves until Shutdown with no task left, or SIGTERM, which ends all tasks
// first. Returns an error only when it can't serve at all.
absl::Status RunDaemon(DaemonConfig config);

}  // namespace serai::shim
