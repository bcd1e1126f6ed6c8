// SPDX-License-Identifier: Apache-2.0
#pragma once

// The note in a task's bundle of what has to be cleaned up should the shim die,
// and of how the task ended: serai-task.json. Written when a task is created
// and when it ends, read by the shim's `delete` command, removed with the task.
// The program that reads may be newer or older than the one that wrote: members
// may be added, unknown ones are ignored, a missing one has its default.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::shim {

// A tap that the shim made.
struct RecordedTap {
  std::string netns;         // the path of its network namespace
  uint64_t netns_inode = 0;  // with the path, the namespace's identity
  std::string interface;     // that leads to the tap
  std::string name;
  uint32_t index = 0;  // with the name, the tap's identity

  bool operator==(const RecordedTap&) const = default;
};

struct RecordedExit {
  uint32_t status = 0;
  absl::Time time;

  bool operator==(const RecordedExit&) const = default;
};

struct TaskRecord {
  std::string id;
  std::string pod;  // the id that its shim was started for; empty: not known
  pid_t pid = 0;
  uint64_t start_time = 0;  // with the pid, the process's identity
  std::string cgroup;       // empty: none
  std::vector<std::string> made_cgroups;  // directories, parents first
  std::string scope;  // systemd's unit of the cgroup; empty: none
  std::vector<RecordedTap> taps;
  std::optional<RecordedExit> exit;  // none: it has not ended, or nobody saw

  bool operator==(const TaskRecord&) const = default;
};

absl::Status WriteTaskRecord(const std::string& bundle,
                             const TaskRecord& record);
// NOT_FOUND when there is none, DATA_LOSS when it can't be understood.
absl::StatusOr<TaskRecord> ReadTaskRecord(const std::string& bundle);
// One that is not there is success.
absl::Status RemoveTaskRecord(const std::string& bundle);

}  // namespace serai::shim
