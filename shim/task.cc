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
#include "shim/launch.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr int kLastSignal = 64;
constexpr int kSignalExitBase = 128;

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
  ASSIGN_OR_RETURN(guest_, OpenGuest(spec_, request_.bundle()));
  ASSIGN_OR_RETURN(command_, MakeTenderCommand(spec_, guest_));

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
  RETURN_IF_ERROR(WriteTaskRecord(request_.bundle(), record_));
  console_ = std::make_unique<Console>(host_.loop, log_.get());
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

absl::Status Task::Start() {
  if (status() != task::TASK_CREATED) {
    return absl::FailedPreconditionError("the task was started before");
  }
  ASSIGN_OR_RETURN(const Console::WriteEnds console, console_->Open());
  const absl::Status launched = Launch(console);
  if (!launched.ok()) {
    console_->Finish();
    return launched;
  }
  // The tender's now, and a tap is free again only when nobody has it open.
  const solo5::Target target = guest_.target;
  guest_ = Guest();
  guest_.target = target;
  command_ = TenderCommand();
  return absl::OkStatus();
}

absl::Status Task::Launch(const Console::WriteEnds& console) {
  oom_kills_before_ = OomKills();
  const shim::Launch launch = {
      .program = host_.tender,
      .command = command_,
      .output = console.output.get(),
      .error_output = console.error_output.get(),
      .netns = guest_.netns.get(),
      .cgroup = cgroup_ ? &*cgroup_ : nullptr,
      .oom_score_adj = spec_.oom_score_adj.value_or(host_.oom_score_adj)};
  ASSIGN_OR_RETURN(const pid_t pid, LaunchTender(launch));
  started_at_ = absl::Now();
  record_.pid = pid;
  // Our child, not reaped: these can fail for want of descriptors only, or
  // because it ended already.
  absl::StatusOr<host::Pidfd> pidfd = host::Pidfd::Open(pid);
  if (pidfd.ok()) {
    pidfd_ = *std::move(pidfd);
  } else {
    LogWarning(pidfd.status().message());
  }
  record_.start_time = host::ProcessStartTime(pid).value_or(0);
  const absl::Status written = WriteTaskRecord(request_.bundle(), record_);
  if (!written.ok()) LogWarning(written.message());
  return absl::OkStatus();
}

absl::Status Task::Kill(int signal_number) {
  if (signal_number < 1 || signal_number > kLastSignal) {
    return absl::InvalidArgumentError(
        absl::StrCat(signal_number, " is no signal"));
  }
  switch (status()) {
    case task::TASK_CREATED:
      if (!IsHarmless(signal_number)) {
        SetExit(static_cast<uint32_t>(kSignalExitBase + signal_number));
      }
      return absl::OkStatus();
    case task::TASK_RUNNING:
      if (pidfd_) return pidfd_->SendSignal(signal_number);
      // No descriptor was to be had. The child is not reaped, so that the pid
      // is still its own.
      return ::kill(record_.pid, signal_number) == 0
                 ? absl::OkStatus()
                 : ErrnoStatus(errno, "kill");
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
  console_->Finish();
  pidfd_.reset();
  oom_killed_ = OomKills() > oom_kills_before_;
  SetExit(static_cast<uint32_t>(WIFSIGNALED(wait_status)
                                    ? kSignalExitBase + WTERMSIG(wait_status)
                                    : WEXITSTATUS(wait_status)));
}

void Task::SetExit(uint32_t status) {
  exit_ = TaskExit{status, absl::Now()};
  // A callback may start a new wait.
  const std::vector<OnExit> waiting = std::exchange(waiting_, {});
  for (const OnExit& on_exit : waiting) on_exit(*exit_);
}

absl::Status Task::Delete() {
  if (running()) {
    return absl::FailedPreconditionError("the task is running: kill it first");
  }
  if (!exit_) SetExit(kSignalExitBase + SIGKILL);
  // The descriptors of a task that was never started.
  guest_ = Guest();
  RETURN_IF_ERROR(RemoveCgroup());
  return RemoveTaskRecord(request_.bundle());
}

absl::Status Task::Destroy() {
  if (running()) {
    RETURN_IF_ERROR(Kill(SIGKILL));
    int wait_status = 0;
    while (::waitpid(record_.pid, &wait_status, 0) < 0) {
      if (errno != EINTR) return ErrnoStatus(errno, "waitpid");
    }
    Reaped(wait_status);
  }
  return Delete();
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
  return record_.pid != 0 ? task::TASK_RUNNING : task::TASK_CREATED;
}

}  // namespace serai::shim
