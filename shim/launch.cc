// SPDX-License-Identifier: Apache-2.0
#include "shim/launch.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxReport = 4096;

absl::Status ResetSignals() {
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
    return ErrnoStatus(errno, "sigprocmask");
  }
  if (::signal(SIGPIPE, SIG_DFL) == SIG_ERR) {
    return ErrnoStatus(errno, "signal");
  }
  return absl::OkStatus();
}

// Puts `sources` at descriptors 0, 1, 2, … and closes all others at the exec.
// Sources are first copied out of the way: one may stand where another goes.
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
  if (::syscall(SYS_close_range, static_cast<unsigned>(count), ~0U,
                CLOSE_RANGE_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "close_range");
  }
  return absl::OkStatus();
}

// In the child. The pipe for a failure's report is out of the way already.
absl::Status Prepare(const Launch& launch, pid_t parent) {
  RETURN_IF_ERROR(ResetSignals());
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return ErrnoStatus(errno, "prctl");
  }
  if (::getppid() != parent) return absl::AbortedError("the shim has ended");
  if (::setsid() < 0) return ErrnoStatus(errno, "setsid");
  if (launch.cgroup != nullptr) {
    RETURN_IF_ERROR(launch.cgroup->AddProcess(::getpid()), "joining cgroup ",
                    launch.cgroup->path());
  }
  const absl::Status adjusted = WriteControlFile(
      "/proc/self/oom_score_adj", absl::StrCat(launch.oom_score_adj));
  if (!adjusted.ok()) LogWarning(adjusted.message());
  if (launch.netns >= 0 && ::setns(launch.netns, CLONE_NEWNET) != 0) {
    return ErrnoStatus(errno, "entering the pod's network namespace");
  }
  ASSIGN_OR_RETURN(const UniqueFd null, OpenFile("/dev/null", O_RDONLY));
  std::vector<int> descriptors = {null.get(), launch.output,
                                  launch.error_output};
  descriptors.insert(descriptors.end(), launch.command.fds.begin(),
                     launch.command.fds.end());
  return PlaceDescriptors(descriptors);
}

// The report is a code's digits, a space and the message; an exec that works
// closes the pipe and so reports nothing.
[[noreturn]] void RunChild(const Launch& launch, pid_t parent,
                           UniqueFd report) {
  const int out_of_the_way =
      kFirstFd + static_cast<int>(launch.command.fds.size());
  report.reset(::fcntl(report.get(), F_DUPFD_CLOEXEC, out_of_the_way));
  absl::Status status = Prepare(launch, parent);
  if (status.ok()) {
    std::vector<std::string> args = launch.command.args;
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    std::array<char*, 1> environment = {nullptr};
    ::execve(launch.program.c_str(), argv.data(), environment.data());
    status = ErrnoStatus(errno, absl::StrCat("exec ", launch.program));
    // A missing program is the node's fault; NOT_FOUND would say that the task
    // is unknown.
    if (absl::IsNotFound(status)) {
      status = absl::FailedPreconditionError(status.message());
    }
  }
  WriteAll(report.get(), absl::StrCat(status.raw_code(), " ", status.message()))
      .IgnoreError();
  ::_exit(127);
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

}  // namespace

absl::StatusOr<pid_t> LaunchTender(const Launch& launch) {
  std::array<int, 2> fds = {-1, -1};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  const UniqueFd reports(fds[0]);
  UniqueFd report(fds[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) RunChild(launch, parent, std::move(report));
  report.reset();
  absl::StatusOr<std::string> said = ReadAll(reports.get(), kMaxReport);
  if (said.ok() && said->empty()) return pid;
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  RETURN_IF_ERROR(said.status());
  return FromReport(*said);
}

}  // namespace serai::shim
