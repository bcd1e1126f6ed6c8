// SPDX-License-Identifier: Apache-2.0
#include "shim/task.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/rollback.h"
#include "shim/arguments.h"
#include "shim/guest.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr int kLastSignal = 64;
constexpr int kSignalExitBase = 128;
// As a shell has it for a program that could not be executed.
constexpr uint32_t kCannotExecute = 127;

// Null when no log is wanted.
absl::StatusOr<std::unique_ptr<CriLog>> OpenLog(
    const task::CreateTaskRequest& request) {
  absl::string_view path = request.stdout();
  if (path.empty()) return nullptr;
  if (!absl::ConsumePrefix(&path, "cri://") || !absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("stdout \"", request.stdout(),
                     "\" is not of the form cri:///path/of/the.log"));
  }
  return CriLog::Open(std::string(path));
}

absl::Status CheckRequest(const task::CreateTaskRequest& request) {
  if (request.id().empty()) {
    return absl::InvalidArgumentError("the task has no id");
  }
  if (!absl::StartsWith(request.bundle(), "/")) {
    return absl::InvalidArgumentError("the bundle's path is not absolute");
  }
  if (request.terminal()) {
    return absl::InvalidArgumentError("a unikernel has no terminal");
  }
  if (!request.checkpoint().empty()) {
    return absl::UnimplementedError("a unikernel can't be restored");
  }
  if (request.rootfs_size() != 0) {
    return absl::UnimplementedError(
        "the root file system must be there: mounts are not made");
  }
  return absl::OkStatus();
}

host::CgroupLimits LimitsOf(const oci::Resources& resources) {
  host::CgroupLimits limits;
  limits.memory_bytes = resources.memory_limit;
  limits.cpu_quota_us = resources.cpu_quota;
  limits.cpu_period_us = resources.cpu_period;
  limits.cpu_shares = resources.cpu_shares;
  limits.cpuset_cpus = resources.cpus;
  limits.cpuset_mems = resources.mems;
  limits.pids_max = resources.pids_limit;
  return limits;
}

// Whether the signal's default action lets a process live.
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

}  // namespace

absl::StatusOr<std::unique_ptr<Task>> Task::Create(
    const TaskHost& host, const task::CreateTaskRequest& request) {
  RETURN_IF_ERROR(CheckRequest(request));
  std::unique_ptr<Task> created(new Task(host, request));
  RETURN_IF_ERROR(created->Prepare());
  return created;
}

absl::Status Task::Prepare() {
  ASSIGN_OR_RETURN(const std::string config,
                   ReadFile(JoinPath(request_.bundle(), "config.json"),
                            oci::kMaxRuntimeSpecBytes));
  ASSIGN_OR_RETURN(spec_, oci::ParseRuntimeSpec(config));
  // The child takes these over; ours are closed on return.
  ASSIGN_OR_RETURN(const Guest guest, OpenGuest(spec_, request_.bundle()));
  target_ = guest.target;

  Rollback rollback([](const std::string& what, const absl::Status& error) {
    LogWarning(absl::StrCat("undoing: ", what, ": ", error.message()));
  });
  record_.id = request_.id();
  if (!spec_.cgroups_path.empty()) {
    RETURN_IF_ERROR(MakeCgroup(), "cgroup ", spec_.cgroups_path);
    rollback.Add("cgroup", [this] { return RemoveCgroup(); });
    ASSIGN_OR_RETURN(const std::vector<std::string> lacking,
                     cgroup_->SetLimits(LimitsOf(spec_.resources)));
    for (const std::string& what : lacking) LogWarning(what);
  }
  ASSIGN_OR_RETURN(log_, OpenLog(request_));
  if (log_ && log_->made_file()) {
    rollback.Add("log", [this] { return RemovePath(log_->path()); });
  }
  console_ = std::make_unique<Console>(host_.loop, log_.get());
  RETURN_IF_ERROR(ForkTender(guest));
  rollback.Add("tender", [this] { return EndChild().status(); });
  RETURN_IF_ERROR(WriteTaskRecord(request_.bundle(), record_));
  rollback.Commit();
  return absl::OkStatus();
}

absl::Status Task::MakeCgroup() {
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(cgroup_,
                   host::Cgroup::Create(hierarchy, spec_.cgroups_path));
  record_.cgroup = cgroup_->path();
  record_.made_cgroups = cgroup_->made();
  return absl::OkStatus();
}

absl::Status Task::RemoveCgroup() const {
  if (!cgroup_) return absl::OkStatus();
  RETURN_IF_ERROR(cgroup_->Remove());
  return host::RemoveMade(cgroup_->made());
}

absl::Status Task::ForkTender(const Guest& guest) {
  ASSIGN_OR_RETURN(const UniqueFd status, status_pipe_.Open());
  ASSIGN_OR_RETURN(const TenderCommand command,
                   MakeTenderCommand(spec_, guest, status.get()));
  ASSIGN_OR_RETURN(const Console::WriteEnds console, console_->Open());
  const Launch launch = {
      .program = host_.tender,
      .command = command,
      .output = console.output.get(),
      .error_output = console.error_output.get(),
      .netns = guest.netns.get(),
      .cgroup = cgroup_ ? &*cgroup_ : nullptr,
      .oom_score_adj = spec_.oom_score_adj.value_or(host_.oom_score_adj)};
  ASSIGN_OR_RETURN(waiting_tender_, WaitingTender::Fork(launch));
  record_.pid = waiting_tender_->pid();
  // Our child, not reaped: this can fail for want of descriptors only.
  absl::StatusOr<host::Pidfd> pidfd = host::Pidfd::Open(record_.pid);
  const absl::StatusOr<uint64_t> start_time =
      host::ProcessStartTime(record_.pid);
  if (!pidfd.ok() || !start_time.ok()) {
    EndChild().status().IgnoreError();
    return FirstError(pidfd.status(), start_time.status());
  }
  pidfd_ = *std::move(pidfd);
  record_.start_time = *start_time;
  return absl::OkStatus();
}

absl::Status Task::Start() {
  if (status() != task::TASK_CREATED) {
    return absl::FailedPreconditionError("the task was started before");
  }
  oom_kills_before_ = OomKills();
  started_at_ = absl::Now();
  const absl::Status status = waiting_tender_->Exec();
  waiting_tender_.reset();
  if (status.ok()) return absl::OkStatus();
  started_at_.reset();
  // It ends by itself. Whether it did already, or is killed here: 127 it is.
  ASSIGN_OR_RETURN([[maybe_unused]] const int wait_status, EndChild());
  SetExit(kCannotExecute, Ending::kFailure);
  return status;
}

absl::StatusOr<int> Task::EndChild() {
  ::kill(record_.pid, SIGKILL);
  int wait_status = 0;
  while (::waitpid(record_.pid, &wait_status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "waitpid");
  }
  return wait_status;
}

absl::Status Task::Kill(int signal_number) {
  if (signal_number < 1 || signal_number > kLastSignal) {
    return absl::InvalidArgumentError(
        absl::StrCat(signal_number, " is no signal"));
  }
  switch (status()) {
    case task::TASK_CREATED: {
      if (IsHarmless(signal_number)) return absl::OkStatus();
      RETURN_IF_ERROR(EndChild().status());
      SetExit(static_cast<uint32_t>(kSignalExitBase + signal_number),
              Ending::kSignal);
      return absl::OkStatus();
    }
    case task::TASK_RUNNING:
      return pidfd_->SendSignal(signal_number);
    default:
      return absl::NotFoundError("the task has ended");
  }
}

void Task::Wait(OnExit on_exit) {
  if (exit_) {
    on_exit(*exit_);
  } else {
    waiting_.push_back(std::move(on_exit));
  }
}

void Task::Reaped(int wait_status) {
  oom_killed_ = OomKills() > oom_kills_before_;
  status_pipe_.Finish();
  SetExit(static_cast<uint32_t>(WIFSIGNALED(wait_status)
                                    ? kSignalExitBase + WTERMSIG(wait_status)
                                    : WEXITSTATUS(wait_status)),
          EndingOf(wait_status, status_pipe_.last_line()));
}

void Task::SetExit(uint32_t status, Ending ending) {
  console_->Finish();
  pidfd_.reset();
  waiting_tender_.reset();
  exit_ = TaskExit{status, ending, absl::Now()};
  // A callback may start a new wait.
  const std::vector<OnExit> waiting = std::exchange(waiting_, {});
  for (const OnExit& on_exit : waiting) on_exit(*exit_);
}

absl::Status Task::Delete() {
  if (running()) {
    return absl::FailedPreconditionError("the task is running: kill it first");
  }
  return Destroy();
}

absl::Status Task::Destroy() {
  if (!exit_) {
    ASSIGN_OR_RETURN(const int wait_status, EndChild());
    Reaped(wait_status);
  }
  RETURN_IF_ERROR(RemoveCgroup());
  return RemoveTaskRecord(request_.bundle());
}

uint64_t Task::OomKills() const {
  if (!cgroup_) return 0;
  const absl::StatusOr<host::CgroupUsage> usage = cgroup_->Usage();
  return usage.ok() ? usage->oom_kills : 0;
}

absl::StatusOr<host::CgroupUsage> Task::Usage() const {
  if (!cgroup_) {
    return absl::FailedPreconditionError("the task has no cgroup");
  }
  return cgroup_->Usage();
}

absl::Status Task::ReopenLog() {
  if (!log_) return absl::FailedPreconditionError("the task has no log");
  return log_->Reopen();
}

task::TaskStatus Task::status() const {
  if (exit_) return task::TASK_STOPPED;
  return started_at_ ? task::TASK_RUNNING : task::TASK_CREATED;
}

}  // namespace serai::shim
