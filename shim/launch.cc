// SPDX-License-Identifier: Apache-2.0
#include "shim/launch.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxReport = 4096;
constexpr int kExecTimeoutMs = 3000;

// What a child has beside its tender's descriptors, by number above those.
struct ChildDescriptors {
  int go;
  int report;
  int netns;  // when there is one
  int end;    // the first that is not used
};

ChildDescriptors NumbersFor(const Launch& launch) {
  const int first = kFirstFd + static_cast<int>(launch.command.fds.size());
  return {first, first + 1, first + 2, first + 3};
}

// Puts `sources` at the descriptors 0, 1, 2, … and closes all others. The
// sources are copied out of the way first: one may stand where another goes.
absl::Status PlaceDescriptors(const std::vector<int>& sources) {
  const int count = static_cast<int>(sources.size());
  std::vector<int> copies;
  for (const int source : sources) {
    copies.push_back(::fcntl(source, F_DUPFD_CLOEXEC, count));
    if (copies.back() < 0) return ErrnoStatus(errno, "dup");
  }
  for (int target = 0; target < count; ++target) {
    if (::dup2(copies[static_cast<size_t>(target)], target) < 0) {
      return ErrnoStatus(errno, "dup");
    }
  }
  if (::syscall(SYS_close_range, static_cast<unsigned>(count), ~0U, 0) != 0) {
    return ErrnoStatus(errno, "close_range");
  }
  return absl::OkStatus();
}

// The shim's descriptors must not stay open in a child that waits: a client
// would not see its connection closed, a tap would not come free.
absl::Status PlaceAll(const Launch& launch, int go, int report) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return ErrnoStatus(errno, "open /dev/null");
  std::vector<int> sources = {null, launch.output, launch.error_output};
  sources.insert(sources.end(), launch.command.fds.begin(),
                 launch.command.fds.end());
  sources.push_back(go);
  sources.push_back(report);
  if (launch.netns >= 0) sources.push_back(launch.netns);
  RETURN_IF_ERROR(PlaceDescriptors(sources));
  const ChildDescriptors numbers = NumbersFor(launch);
  for (int fd = numbers.go; fd < numbers.end; ++fd) {
    if (fd == numbers.netns && launch.netns < 0) continue;
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return ErrnoStatus(errno, "fcntl");
    }
  }
  return absl::OkStatus();
}

absl::Status ResetProcess(const Launch& launch, pid_t parent) {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  if (launch.hold_requests) {
    ::sigaddset(&blocked, SIGUSR1);
    ::sigaddset(&blocked, SIGUSR2);
  }
  if (::sigprocmask(SIG_SETMASK, &blocked, nullptr) != 0) {
    return ErrnoStatus(errno, "sigprocmask");
  }
  if (::signal(SIGPIPE, SIG_DFL) == SIG_ERR) {
    return ErrnoStatus(errno, "signal");
  }
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return ErrnoStatus(errno, "prctl");
  }
  if (::getppid() != parent) return absl::AbortedError("the shim has ended");
  if (::setsid() < 0) return ErrnoStatus(errno, "setsid");
  return absl::OkStatus();
}

absl::Status EnterPod(const Launch& launch, bool in_cgroup) {
  if (launch.cgroup != nullptr && !in_cgroup) {
    RETURN_IF_ERROR(launch.cgroup->AddProcess(::getpid()), "joining cgroup ",
                    launch.cgroup->path());
  }
  if (launch.netns >= 0 &&
      ::setns(NumbersFor(launch).netns, CLONE_NEWNET) != 0) {
    return ErrnoStatus(errno, "entering the pod's network namespace");
  }
  return absl::OkStatus();
}

// Returns when it could not be done.
absl::Status ExecTender(const Launch& launch) {
  std::vector<std::string> args = launch.command.args;
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  std::array<char*, 1> environment = {nullptr};
  ::execve(launch.program.c_str(), argv.data(), environment.data());
  const absl::Status status =
      ErrnoStatus(errno, absl::StrCat("exec ", launch.program));
  // A missing program is the node's fault; NOT_FOUND would say that the task is
  // unknown.
  return absl::IsNotFound(status)
             ? absl::FailedPreconditionError(status.message())
             : status;
}

// The report is a code's digits, a space and the message; an exec that works
// closes the pipe and so reports nothing.
[[noreturn]] void ReportAndExit(int report, const absl::Status& status) {
  WriteAll(report, absl::StrCat(status.raw_code(), " ", status.message()))
      .IgnoreError();
  ::_exit(127);
}

[[noreturn]] void RunChild(const Launch& launch, pid_t parent, bool in_cgroup,
                           int go, int report) {
  // First of all, so that nothing of the shim's is held longer than need be.
  absl::Status status = PlaceAll(launch, go, report);
  if (!status.ok()) ReportAndExit(report, status);
  go = NumbersFor(launch).go;
  report = NumbersFor(launch).report;
  status = ResetProcess(launch, parent);
  if (status.ok()) status = EnterPod(launch, in_cgroup);
  char byte = 0;
  ssize_t n = 0;
  while ((n = ::read(go, &byte, 1)) < 0 && errno == EINTR) {
  }
  if (n <= 0) ::_exit(127);  // not wanted any more, or the shim has died
  if (status.ok()) status = ExecTender(launch);
  ReportAndExit(report, status);
}

absl::Status FromReport(const std::string& report) {
  const size_t space = report.find(' ');
  int code = 0;
  for (const char digit : report.substr(0, space)) {
    code = code * 10 + (digit - '0');
  }
  return absl::Status(static_cast<absl::StatusCode>(code),
                      report.substr(space + 1));
}

// A fork that is born in a v2 cgroup, with none of the waiting that a move
// costs. -1 when that can't be had.
pid_t ForkIntoCgroup(const host::Cgroup* cgroup) {
  if (cgroup == nullptr) return -1;
  const absl::StatusOr<UniqueFd> directory = cgroup->OpenDirectory();
  if (!directory.ok()) return -1;
  clone_args args = {};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<unsigned>(directory->get());
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof(args)));
}

}  // namespace

absl::StatusOr<WaitingTender> WaitingTender::Fork(const Launch& launch) {
  ASSIGN_OR_RETURN(Pipe go, MakePipe());
  ASSIGN_OR_RETURN(Pipe reports, MakePipe());
  const pid_t parent = ::getpid();
  pid_t pid = ForkIntoCgroup(launch.cgroup);
  const bool in_cgroup = pid >= 0;
  if (!in_cgroup) pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) {
    // Else it would wait for itself when the shim has died.
    go.write_end.reset();
    reports.read_end.reset();
    RunChild(launch, parent, in_cgroup, go.read_end.get(),
             reports.write_end.get());
  }
  const absl::Status adjusted =
      WriteControlFile(absl::StrCat("/proc/", pid, "/oom_score_adj"),
                       absl::StrCat(launch.oom_score_adj));
  if (!adjusted.ok()) LogWarning(adjusted.message());
  return WaitingTender(pid, std::move(go.write_end),
                       std::move(reports.read_end));
}

absl::Status WaitingTender::Exec() {
  // A child that has ended reads nothing and reports nothing: SIGPIPE is
  // ignored, and what it did not say is found when it is reaped.
  const absl::Status gone = WriteAll(go_.get(), "!");
  if (!gone.ok()) return absl::AbortedError("the tender was killed");
  go_.reset();
  pollfd reports = {reports_.get(), POLLIN, 0};
  if (::poll(&reports, 1, kExecTimeoutMs) == 0) {
    return absl::DeadlineExceededError(
        "the tender does not start: its process is frozen, or waits for a "
        "disk");
  }
  ASSIGN_OR_RETURN(const std::string report,
                   ReadAll(reports_.get(), kMaxReport));
  return report.empty() ? absl::OkStatus() : FromReport(report);
}

}  // namespace serai::shim
