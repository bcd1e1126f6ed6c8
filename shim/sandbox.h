// SPDX-License-Identifier: Apache-2.0
#pragma once

// A pod's sandbox without a process of its own: the shim itself stands in for
// it. It enters the pod's network namespace, so that /proc/PID/ns/net of the
// pid it reports, which containerd writes into the containers' specifications
// and from where the node's monitoring reads the pod's counters, is the pod's;
// and the sandbox's cgroup, so that the pod pays for its shim. Both are left at
// the end of the sandbox. For a program with one thread.

#include <map>
#include <memory>
#include <string>

#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "shim/task_cgroup.h"

namespace serai::shim {

class Sandbox {
 public:
  // Enters the namespace at `netns` (empty: stays in its own) and the cgroup at
  // `cgroups_path` (likewise), which is made; for one of systemd's, see
  // Admit(). On failure the process is where it was and nothing is left. `loop`
  // outlives the sandbox.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Enter(
      EventLoop& loop, const std::string& netns,
      const std::string& cgroups_path);
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // Enters the cgroup where that is systemd's to do; otherwise `done` is called
  // at once.
  void Admit(TaskCgroup::OnDone done);

  // Goes back to where the process was, and removes the cgroup.
  absl::Status Leave();

  // Null when there is none.
  const TaskCgroup* cgroup() const { return cgroup_.get(); }

 private:
  Sandbox() = default;
  absl::Status EnterNetns(const std::string& path);
  absl::Status EnterCgroup(EventLoop& loop, const std::string& cgroups_path);
  absl::Status NoteOwnCgroups();
  absl::Status LeaveNetns();
  absl::Status LeaveCgroup();

  UniqueFd own_netns_;
  // Where the process was, by the root of each tree.
  std::map<std::string, std::string> own_cgroups_;
  std::unique_ptr<TaskCgroup> cgroup_;
};

}  // namespace serai::shim
