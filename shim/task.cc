// SPDX-License-Identifier: Apache-2.0
#include "shim/task.h"

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "shim/metrics.h"

namespace serai::shim {
namespace {

constexpr int kLastSignal = 64;

}  // namespace

void Task::FinishCreation(OnReady on_ready) {
  creating_ = true;
  Admit([this, on_ready = std::move(on_ready)](const absl::Status& status) {
    creating_ = false;
    on_ready(status);
  });
}

absl::Status Task::CheckCreated() const {
  return creating_ ? absl::FailedPreconditionError("it is being created")
                   : absl::OkStatus();
}

absl::Status Task::Delete() {
  RETURN_IF_ERROR(CheckCreated());
  if (started_at_ && !exit_) {
    return absl::FailedPreconditionError("the task is running: kill it first");
  }
  return Destroy();
}

void Task::Wait(OnExit on_exit) {
  if (exit_) {
    on_exit(*exit_);
  } else {
    waiting_.push_back(std::move(on_exit));
  }
}

absl::StatusOr<wire::Any> Task::Metrics() const {
  if (cgroup() == nullptr) {
    return absl::FailedPreconditionError("the task has no cgroup");
  }
  return ReadMetrics(*cgroup());
}

task::TaskStatus Task::status() const {
  if (exit_) return task::TASK_STOPPED;
  return started_at_ ? task::TASK_RUNNING : task::TASK_CREATED;
}

void Task::SetExit(uint32_t status, Ending ending) {
  exit_ = TaskExit{status, ending, absl::Now()};
  // A callback may start a new wait.
  const std::vector<OnExit> waiting = std::exchange(waiting_, {});
  for (const OnExit& on_exit : waiting) on_exit(*exit_);
}

absl::Status CheckSignal(int signal_number) {
  if (signal_number >= 1 && signal_number <= kLastSignal) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(signal_number, " is no signal"));
}

bool IsHarmless(int signal_number) {
  switch (signal_number) {
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
      return true;
    default:
      return false;
  }
}

}  // namespace serai::shim
