// SPDX-License-Identifier: Apache-2.0
#pragma once

// Starts a tender in two steps: a fork into its cgroup and network namespace
// with the descriptors it is meant to have and no other; later the exec. To
// join a v1 cgroup a process waits for all processors to pass a quiet state,
// some 10 ms: between a task's creation and its start that costs nobody
// anything. For a program with one thread.

#include <sys/types.h>

#include <string>
#include <utility>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
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
  // An hvt tender answers these signals, and says so by unblocking them: until
  // then they wait, and don't end it.
  bool hold_requests = false;
};

// A child that has forked and waits for its exec. It is killed when the shim
// dies, and ends when this object does; whatever becomes of it, the caller
// reaps it.
class WaitingTender {
 public:
  static absl::StatusOr<WaitingTender> Fork(const Launch& launch);

  pid_t pid() const { return pid_; }

  // Blocks, for some seconds at most, until the child has become the tender:
  // with an empty environment, stdin /dev/null. When anything up to and
  // including the exec fails, that is the error, and the child ends.
  absl::Status Exec();

 private:
  WaitingTender(pid_t pid, UniqueFd go, UniqueFd reports)
      : pid_(pid), go_(std::move(go)), reports_(std::move(reports)) {}

  pid_t pid_;
  UniqueFd go_;
  UniqueFd reports_;
};

}  // namespace serai::shim
