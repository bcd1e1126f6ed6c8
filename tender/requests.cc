// SPDX-License-Identifier: Apache-2.0
#include "tender/requests.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "tender/report.h"

namespace serai::tender {
namespace {

std::atomic<uint32_t> pending;
std::atomic<uint8_t*> run_flag;
std::array<Request, NSIG> request_of;

// Made at the first use, which is before any signal is accepted.
int event_fd = -1;

void OnSignal(int number) {
  const int saved = errno;
  Ask(request_of[static_cast<size_t>(number)]);
  errno = saved;
}

}  // namespace

int RequestEvent() {
  if (event_fd < 0) {
    event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0) Fatal("eventfd: %s", std::strerror(errno));
  }
  return event_fd;
}

void AcceptRequests(int signal_number, Request request) {
  RequestEvent();
  request_of[static_cast<size_t>(signal_number)] = request;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK;
  // Whoever started the tender may have had it blocked.
  sigset_t unblocked;
  ::sigemptyset(&unblocked);
  ::sigaddset(&unblocked, signal_number);
  if (::sigaction(signal_number, &action, nullptr) != 0 ||
      ::sigprocmask(SIG_UNBLOCK, &unblocked, nullptr) != 0) {
    Fatal("sigaction: %s", std::strerror(errno));
  }
}

void SetRequestFlag(uint8_t* flag) { run_flag = flag; }

void Ask(Request request) {
  pending |= static_cast<uint32_t>(request);
  if (uint8_t* const flag = run_flag; flag != nullptr) {
    *static_cast<volatile uint8_t*>(flag) = 1;
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(event_fd, &one, sizeof(one));
}

uint32_t TakeRequests() {
  // Even where nothing is pending: what an earlier call took may have left them
  // set. First the flag: a request that comes now is found below, or sets it
  // anew.
  if (uint8_t* const flag = run_flag; flag != nullptr) {
    *static_cast<volatile uint8_t*>(flag) = 0;
  }
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored =
      ::read(event_fd, &count, sizeof(count));
  return pending.exchange(0);
}

}  // namespace serai::tender
