// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/ring_thread.h"

#include <linux/futex.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <iterator>

#include "tender/report.h"
#include "tender/system_call.h"

namespace serai::tender::hvt {
namespace {

// There is one such thread, and it goes with the process. It needs no more of a
// C library than what the stack protector has in thread-local data, which is
// the same for all threads.
alignas(64) void* thread_stack[8192];

constexpr uint64_t kNanoseconds = 1'000'000'000;
// How long the guest's end waits for its last frames.
constexpr uint64_t kLastPatience = kNanoseconds / 10;
// A sleep that takes less than this was not worth it.
constexpr uint64_t kShortSleep = 200'000;  // ns
constexpr uint64_t kFirstSpin = 10'000;    // ns
constexpr uint64_t kMaxSpin = 20'000;      // ns; more did not help

uint64_t Now() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanoseconds +
         static_cast<uint64_t>(now.tv_nsec);
}

// Waits until `flag` is set, for at most `timeout` ns.
void WaitFor(std::atomic<uint32_t>* flag, uint64_t timeout) {
  const uint64_t deadline = Now() + timeout;
  for (uint64_t now = Now(); *flag == 0 && now < deadline; now = Now()) {
    timespec left = {};
    left.tv_sec = static_cast<time_t>((deadline - now) / kNanoseconds);
    left.tv_nsec = static_cast<long>((deadline - now) % kNanoseconds);
    SystemCall(SYS_futex, AsArgument(flag), FUTEX_WAIT_PRIVATE, 0,
               AsArgument(&left));
  }
}

void Set(std::atomic<uint32_t>* flag) {
  *flag = 1;
  SystemCall(SYS_futex, AsArgument(flag), FUTEX_WAKE_PRIVATE, 1);
}

// Starts `run` as a thread that shares all with this one, its thread-local data
// too. What the kernel answers.
long StartThread(void (*run)(void* context), void* context) {
  constexpr uint64_t kFlags = CLONE_VM | CLONE_FS | CLONE_FILES |
                              CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  void** const stack = thread_stack + std::size(thread_stack) - 2;
  stack[0] = reinterpret_cast<void*>(run);
  stack[1] = context;
  long result = SYS_clone;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "pop %%rax\n\t"
      "pop %%rdi\n\t"
      "call *%%rax\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(kFlags), "S"(stack), "d"(0L)
      : "rcx", "r11", "memory");
  return result;
}

bool HasOneProcessor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1;
}

}  // namespace

RingThread::RingThread(Ring* ring, int vm_fd, Counters* counters)
    : ring_(ring),
      counters_(counters),
      pid_(::getpid()),
      event_fd_(::eventfd(0, EFD_CLOEXEC)),
      max_spin_(HasOneProcessor() ? 0 : kMaxSpin) {
  if (event_fd_ < 0) Fatal("eventfd: %s", std::strerror(errno));
  kvm_ioeventfd event = {};
  event.addr = solo5::kHvtRingPort;
  event.len = sizeof(uint32_t);
  event.fd = event_fd_;
  event.flags = KVM_IOEVENTFD_FLAG_PIO;
  // Where KVM can't, each kick is an exit.
  [[maybe_unused]] const int ignored = ::ioctl(vm_fd, KVM_IOEVENTFD, &event);
}

void RingThread::Start() {
  // The thread inherits that it takes no signals.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const long thread = StartThread(
      [](void* self) { static_cast<RingThread*>(self)->Run(); }, this);
  if (thread < 0) Fatal("clone: %s", std::strerror(static_cast<int>(-thread)));
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  while (started_ == 0) WaitFor(&started_, kNanoseconds);
}

void RingThread::Bind(Bindings* bindings) const {
  bindings->Have(policy::Situation::kNetRing)
      .Set(policy::Slot::kRingFd, event_fd_)
      .Set(policy::Slot::kOwnPid, pid_);
}

void RingThread::Kick() {
  const uint64_t one = 1;
  SystemCall(SYS_write, AsArgument(event_fd_), AsArgument(&one), sizeof(one));
}

void RingThread::Finish() {
  finishing_ = 1;
  Kick();
  WaitFor(&finished_, kLastPatience);
}

void RingThread::Run() {
  Set(&started_);
  while (ServeAll()) {
    if (finishing_ != 0) Set(&finished_);
    if (!Spin()) Sleep();
  }
  Set(&finished_);
  // Brings the other thread out of the guest.
  SystemCall(SYS_tgkill, AsArgument(pid_), AsArgument(pid_), kSignal);
  for (;;) AwaitKick();
}

// Until there is nothing left, or, at the end, for a while. False after a
// breach.
bool RingThread::ServeAll() {
  constexpr int kLastBatches = 2 * solo5::kHvtRingSlots / Ring::kBatch;
  for (int last = 0; last < kLastBatches;) {
    const Ring::Outcome outcome = ring_->ServeBatch();
    if (outcome != Ring::Outcome::kServed) {
      return outcome == Ring::Outcome::kIdle;
    }
    if (finishing_ != 0) ++last;
  }
  return true;
}

// Whether the next entry came soon.
bool RingThread::Spin() {
  if (spin_ == 0) return false;
  const uint64_t deadline = Now() + spin_;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ring_->HasEntries()) return true;
      __builtin_ia32_pause();
    }
  } while (Now() < deadline);
  spin_ /= 2;
  if (spin_ < kFirstSpin) spin_ = 0;
  return false;
}

void RingThread::AwaitKick() {
  uint64_t kicks = 0;
  SystemCall(SYS_read, AsArgument(event_fd_), AsArgument(&kicks),
             sizeof(kicks));
  Count(&counters_->kicks, kicks);
}

void RingThread::Sleep() {
  ring_->AskForKicks(true);
  if (!ring_->HasEntries()) {
    const uint64_t start = Now();
    AwaitKick();
    if (Now() - start < kShortSleep) {
      spin_ = std::min(std::max(2 * spin_, kFirstSpin), max_spin_);
    }
  }
  ring_->AskForKicks(false);
}

}  // namespace serai::tender::hvt
