// SPDX-License-Identifier: Apache-2.0
#pragma once

// One unikernel of the pod: created (its files open, its cgroup made), running
// (a tender), stopped, deleted. Used by the shim's loop only.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "lib/host/pidfd.h"
#include "lib/oci/runtime_spec.h"
#include "proto/task/task.pb.h"
#include "shim/console.h"
#include "shim/cri_log.h"
#include "shim/ending.h"
#include "shim/guest.h"
#include "shim/launch.h"
#include "shim/state_file.h"

namespace serai::shim {

// What is the same for all tasks of a shim.
struct TaskHost {
  EventLoop& loop;
  std::string tender;     // the program's path
  int oom_score_adj = 0;  // for a task whose specification names none
};

// How a task ended.
struct TaskExit {
  uint32_t status = 0;  // the exit code, or 128 + the signal's number
  Ending ending = Ending::kKilled;
  absl::Time time;
};

class Task {
 public:
  using OnExit = std::function<void(const TaskExit&)>;

  // Reads the bundle and prepares all that a start needs. On failure nothing
  // is left: no cgroup, no log file, no record. `host` outlives the task.
  static absl::StatusOr<std::unique_ptr<Task>> Create(
      const TaskHost& host, const task::CreateTaskRequest& request);
  // Leaves the cgroup and the record: Delete() removes them.
  ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // Starts the tender. FAILED_PRECONDITION when it was started, or has ended,
  // before; on another error the task has ended, with status 127.
  absl::Status Start();

  // Sends the signal. A task that is not started yet is ended by a signal that
  // would end a process. NOT_FOUND when the task has ended.
  absl::Status Kill(int signal_number);

  // Calls `on_exit` when the task has ended, at once when it has.
  void Wait(OnExit on_exit);

  // Removes what the task has outside this process. FAILED_PRECONDITION while
  // the tender runs. The task must not be used afterwards, unless this failed.
  absl::Status Delete();

  // Ends the tender, if there is one, and Delete()s whatever state the task is
  // in.
  absl::Status Destroy();

  // The process, whose pid this is, was reaped with `wait_status`.
  void Reaped(int wait_status);

  // FAILED_PRECONDITION for a task without a cgroup.
  absl::StatusOr<host::CgroupUsage> Usage() const;

  // FAILED_PRECONDITION for a task without a log.
  absl::Status ReopenLog();

  const task::CreateTaskRequest& request() const { return request_; }
  task::TaskStatus status() const;
  // The tender's pid (before the start: of the child that will be the tender),
  // also after its end.
  pid_t pid() const { return record_.pid; }
  bool running() const { return status() == task::TASK_RUNNING; }
  const std::optional<TaskExit>& exit() const { return exit_; }
  const std::optional<absl::Time>& started_at() const { return started_at_; }
  bool oom_killed() const { return oom_killed_; }
  const std::string& last_words() const { return console_->tail(); }
  uint64_t log_lines_dropped() const { return log_ ? log_->dropped() : 0; }
  solo5::Target target() const { return target_; }

 private:
  Task(const TaskHost& host, const task::CreateTaskRequest& request)
      : host_(host), request_(request), status_pipe_(host.loop) {}

  absl::Status Prepare();
  absl::Status MakeCgroup();
  absl::Status RemoveCgroup() const;
  absl::Status ForkTender(const Guest& guest);
  // SIGKILL for the child, and reaps it: its wait status.
  absl::StatusOr<int> EndChild();
  // The kernel's count of processes it killed in the cgroup for want of
  // memory; 0 when it is not known.
  uint64_t OomKills() const;
  void SetExit(uint32_t status, Ending ending);

  const TaskHost& host_;
  const task::CreateTaskRequest request_;
  oci::RuntimeSpec spec_;
  solo5::Target target_ = solo5::Target::kSpt;
  std::optional<host::Cgroup> cgroup_;
  std::unique_ptr<CriLog> log_;       // null: no log was asked for
  std::unique_ptr<Console> console_;  // after log_: it writes there
  StatusPipe status_pipe_;
  TaskRecord record_;
  std::optional<WaitingTender> waiting_tender_;  // before the start
  std::optional<host::Pidfd> pidfd_;             // until the end
  std::optional<absl::Time> started_at_;
  uint64_t oom_kills_before_ = 0;
  bool oom_killed_ = false;
  std::optional<TaskExit> exit_;
  std::vector<OnExit> waiting_;
};

}  // namespace serai::shim
