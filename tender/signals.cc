// SPDX-License-Identifier: Apache-2.0
#include "tender/signals.h"

#include <signal.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "tender/report.h"

namespace serai::tender {
namespace {

// The kernel's frame with the largest vector registers takes about 11 KiB.
constexpr size_t kStackSize = 32 * 1024;
alignas(16) char signal_stack[kStackSize];

void Handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_ONSTACK;
  if (::sigaction(number, &action, nullptr) != 0) {
    Fatal("sigaction: %s", std::strerror(errno));
  }
}

}  // namespace

void InstallSignalHandlers() {
  stack_t stack = {};
  stack.ss_sp = signal_stack;
  stack.ss_size = sizeof(signal_stack);
  if (::sigaltstack(&stack, nullptr) != 0) {
    Fatal("sigaltstack: %s", std::strerror(errno));
  }
  Handle(SIGTERM, EndWithSignal);
  Handle(SIGINT, EndWithSignal);
  Handle(SIGPIPE, SIG_IGN);
  Handle(SIGXFSZ, SIG_IGN);
  // The program that started the tender may have blocked them for itself.
  sigset_t handled;
  ::sigemptyset(&handled);
  ::sigaddset(&handled, SIGTERM);
  ::sigaddset(&handled, SIGINT);
  if (::sigprocmask(SIG_UNBLOCK, &handled, nullptr) != 0) {
    Fatal("sigprocmask: %s", std::strerror(errno));
  }
}

}  // namespace serai::tender
