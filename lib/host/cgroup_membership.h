// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where a process is in each of the machine's control group trees
// (/proc/PID/cgroup; cgroups(7)). Any thread.

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::host {

class CgroupMembership {
 public:
  // NOT_FOUND when there is no such process.
  static absl::StatusOr<CgroupMembership> Of(pid_t pid);

  // Takes what /proc/PID/cgroup says.
  static CgroupMembership Parse(absl::string_view text);

  // The process's cgroup in the tree of a v1 controller, or of "name=systemd";
  // with an empty name, in the v2 tree. Empty when there is no such tree.
  std::string PathOf(const std::string& controller) const;

 private:
  std::map<std::string, std::string> paths_;
};

}  // namespace serai::host
