// SPDX-License-Identifier: Apache-2.0
#pragma once

// What containerd's task API calls a task: created, running, stopped, deleted.
// In a pod's shim that is a unikernel (guest_task.h) or the pod's sandbox
// (sandbox_task.h). Used by the shim's loop only.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "proto/task/task.pb.h"
#include "proto/task/wire.pb.h"
#include "shim/ending.h"

namespace serai::shim {

class GuestTask;

// How a task ended.
struct TaskExit {
  uint32_t status = 0;  // the exit code, or 128 + the signal's number
  Ending ending = Ending::kKilled;
  absl::Time time;
};

class Task {
 public:
  using OnExit = std::function<void(const TaskExit&)>;
  using OnReady = std::function<void(const absl::Status&)>;

  // Leaves what the task has outside this process: Delete() removes it.
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // FAILED_PRECONDITION when it was started, or has ended, before.
  virtual absl::Status Start() = 0;

  // Sends the signal. A task that is not started yet is ended by a signal that
  // would end a process. NOT_FOUND when the task has ended.
  virtual absl::Status Kill(int signal_number) = 0;

  // Ends the task, if it has not, and removes what it has outside this process,
  // whatever state it is in. The task must not be used afterwards, unless this
  // failed.
  virtual absl::Status Destroy() = 0;

  // The same for one that has ended or was not started; FAILED_PRECONDITION
  // otherwise.
  absl::Status Delete();

  // Calls `on_exit` when the task has ended, at once when it has.
  void Wait(OnExit on_exit);

  // The rest of its creation, once: calls `on_ready` at once, or later from the
  // loop. Until then it can't be started or deleted; on an error it has to be
  // destroyed. One that is destroyed before does not call it.
  void FinishCreation(OnReady on_ready);

  // Null for a task without one.
  virtual const host::Cgroup* cgroup() const = 0;

  // Of its cgroup, as metrics.h has it. FAILED_PRECONDITION for a task without
  // one.
  absl::StatusOr<wire::Any> Metrics() const;

  // Of the process that stands for the task; also after its end.
  virtual pid_t pid() const = 0;
  virtual task::TaskStatus status() const;
  // The unikernel; null for a sandbox.
  virtual GuestTask* guest() { return nullptr; }

  const task::CreateTaskRequest& request() const { return request_; }
  const std::optional<TaskExit>& exit() const { return exit_; }
  const std::optional<absl::Time>& started_at() const { return started_at_; }

 protected:
  explicit Task(const task::CreateTaskRequest& request) : request_(request) {}

  // What FinishCreation() waits for.
  virtual void Admit(OnReady on_ready) { on_ready(absl::OkStatus()); }
  // FAILED_PRECONDITION until FinishCreation() is through.
  absl::Status CheckCreated() const;

  void SetStarted() { started_at_ = absl::Now(); }
  void SetNotStarted() { started_at_.reset(); }
  // Tells all who Wait().
  void SetExit(uint32_t status, Ending ending);

 private:
  const task::CreateTaskRequest request_;
  bool creating_ = false;
  std::optional<absl::Time> started_at_;
  std::optional<TaskExit> exit_;
  std::vector<OnExit> waiting_;
};

// As a shell has it for a process that a signal ended.
inline constexpr uint32_t kSignalExitBase = 128;

// INVALID_ARGUMENT for a number that no signal has.
absl::Status CheckSignal(int signal_number);

// Whether the signal's default action lets a process live.
bool IsHarmless(int signal_number);

}  // namespace serai::shim
