// SPDX-License-Identifier: Apache-2.0
#pragma once

// A pod's sandbox without a process of its own: the shim itself stands in for
// it. It enters the pod's network namespace, so that /proc/PID/ns/net of the
// pid it reports, which containerd writes into the containers' specifications
// and from where the node's monitoring reads the pod's counters, is the pod's;
// and the sandbox's cgroup, so that the pod pays for its shim. Both are left at
// the end of the sandbox. For a program with one thread.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/host/cgroup.h"

namespace serai::shim {

class Sandbox {
 public:
  // Enters the namespace at `netns` (empty: stays in its own) and the cgroup
  // (likewise), which is made. On failure the process is where it was and
  // nothing is left.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Enter(
      const std::string& netns, const std::string& cgroup);
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // Goes back to where the process was, and removes the cgroup.
  absl::Status Leave();

  // Null when there is none.
  const host::Cgroup* cgroup() const { return cgroup_ ? &*cgroup_ : nullptr; }

 private:
  Sandbox() = default;
  absl::Status EnterNetns(const std::string& path);
  absl::Status EnterCgroup(const std::string& path);
  absl::Status LeaveNetns();
  absl::Status LeaveCgroup();

  UniqueFd own_netns_;
  std::optional<host::CgroupHierarchy> hierarchy_;
  // Directories that the process was in.
  std::vector<std::string> own_cgroups_;
  std::optional<host::Cgroup> cgroup_;
};

}  // namespace serai::shim
