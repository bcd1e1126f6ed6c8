// SPDX-License-Identifier: Apache-2.0
#pragma once

// Starts a tender: fork, into its cgroup and network namespace, exec with the
// descriptors it is meant to have and no other. For a program with one thread.

#include <sys/types.h>

#include <string>

#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "shim/arguments.h"

namespace serai::shim {

struct Launch {
  std::string program;
  const TenderCommand& command;
  int output = -1;  // becomes stdout
  int error_output = -1;
  int netns = -1;                        // -1: stays in the shim's
  const host::Cgroup* cgroup = nullptr;  // null: stays in the shim's
  int oom_score_adj = 0;
};

// The pid of the tender, a child of the caller's that is to be reaped. When
// anything up to and including the exec fails, its error is returned and no
// process is left. The tender has no environment, stdin is /dev/null, and it is
// killed when the shim dies.
absl::StatusOr<pid_t> LaunchTender(const Launch& launch);

}  // namespace serai::shim
