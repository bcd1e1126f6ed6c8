// SPDX-License-Identifier: Apache-2.0
#include "tender/jail/waiter.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/filter.h"
#include "tender/jail/jail.h"
#include "tender/policy/waiter.h"
#include "tender/report.h"

namespace serai::tender {
namespace {

// All others do to the waiter what they do by default, and so to the tender;
// those that it ignores (signals.h) do nothing.
sigset_t PassedOn(const Options& options) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  // A tender that has no answer ignores them: so does a first process.
  ::sigaddset(&signals, SIGUSR1);
  ::sigaddset(&signals, SIGUSR2);
  if (options.dump_core.is_given()) ::sigaddset(&signals, SIGQUIT);
  ::sigaddset(&signals, SIGCHLD);  // this one is for the waiter
  return signals;
}

[[noreturn]] void EndAs(int wait_status, pid_t self) {
  if (WIFEXITED(wait_status)) ::_exit(WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, number);
  ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  ::kill(self, number);
  // The first process of a namespace does not die of its own signals.
  ::_exit(128 + number);
}

void Confine(pid_t child, pid_t self) {
  ::syscall(SYS_close_range, 0u, ~0u, 0);
  ForbidProcesses();
  // Of what the tender handles, it dies where its child does. Of what it
  // ignores, neither dies.
  for (const int number : {SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
  Bindings bindings;
  bindings.Set(policy::Slot::kOwnPid, self).Set(policy::Slot::kChildPid, child);
  using Policy = policy::Compiled<policy::kWaiterRules, policy::kKill>;
  Filter(Policy::kProgram, bindings).Install();
}

[[noreturn]] void WaitFor(pid_t child, const sigset_t& signals) {
  const pid_t self = ::getpid();
  Confine(child, self);
  for (;;) {
    siginfo_t info = {};
    const int number = ::sigwaitinfo(&signals, &info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      ::kill(child, number);
      continue;
    }
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) EndAs(status, self);
  }
}

// Whoever ends the waiter ends the tender.
void TieTo(int waiter) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    Fatal("--jail: prctl(PR_SET_PDEATHSIG): %s", std::strerror(errno));
  }
  // It may have ended before. Its number says nothing in here.
  pollfd ended = {waiter, POLLIN, 0};
  if (::poll(&ended, 1, 0) != 0) ::_exit(128 + SIGKILL);
  ::close(waiter);
}

}  // namespace

void BecomeFirstProcess(const Options& options) {
  const sigset_t signals = PassedOn(options);
  sigset_t before;
  if (::sigprocmask(SIG_BLOCK, &signals, &before) != 0) {
    Fatal("--jail: sigprocmask: %s", std::strerror(errno));
  }
  // Ignored, it would take the child's status with it.
  ::signal(SIGCHLD, SIG_DFL);
  const auto waiter =
      static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  if (waiter < 0) Fatal("--jail: pidfd_open: %s", std::strerror(errno));
  const pid_t child = ::fork();
  if (child < 0) {
    Fatal("--jail: making a process in a PID namespace: %s",
          std::strerror(errno));
  }
  if (child > 0) WaitFor(child, signals);
  TieTo(waiter);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace serai::tender
