// SPDX-License-Identifier: Apache-2.0
#pragma once

// The note in a task's bundle of what has to be cleaned up should the shim die:
// serai-task.json. Written when a task is created, read by the
// shim's `delete` command, removed with the task.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::shim {

struct TaskRecord {
  std::string id;
  pid_t pid = 0;
  uint64_t start_time = 0;  // with the pid, the process's identity
  std::string cgroup;       // empty: none
  std::vector<std::string> made_cgroups;  // directories, parents first
};

absl::Status WriteTaskRecord(const std::string& bundle,
                             const TaskRecord& record);
// NOT_FOUND when there is none, DATA_LOSS when it can't be understood.
absl::StatusOr<TaskRecord> ReadTaskRecord(const std::string& bundle);
// One that is not there is success.
absl::Status RemoveTaskRecord(const std::string& bundle);

}  // namespace serai::shim
