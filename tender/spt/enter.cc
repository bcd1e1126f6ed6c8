// SPDX-License-Identifier: Apache-2.0
#include "tender/spt/enter.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "lib/solo5/abi.h"
#include "tender/report.h"
#include "tender/spt/stub.h"

// The linked stub, a page (stub_image.S).
extern "C" [[gnu::visibility("hidden")]] char serai_spt_stub[];

namespace serai::tender::spt {
namespace {

constexpr std::initializer_list<int> kFaults = {SIGSEGV, SIGBUS,  SIGILL,
                                                SIGFPE,  SIGTRAP, SIGSYS};
constexpr std::initializer_list<int> kRequestsToEnd = {SIGTERM, SIGINT};

// What is right above the guest's memory stays free: a guest that runs over its
// end is to fault.
constexpr uint64_t kGap = uint64_t{1} << 20;

void* Pointer(uint64_t address) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<void*>(address);
}

uint64_t DrawAddress(uint64_t lowest) {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof(number), 0) != sizeof(number)) {
    Fatal("getrandom: %s", std::strerror(errno));
  }
  const uint64_t pages = (kUserEnd - kStubSize - lowest) / solo5::kPageSize;
  return lowest + number % pages * solo5::kPageSize;
}

// An address space of 47 bits is mostly empty, so one draw does nearly always.
uint64_t MapStub(uint64_t lowest) {
  for (int draws = 16;; --draws) {
    const uint64_t address = DrawAddress(lowest);
    if (::mmap(Pointer(address), kStubSize, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
               0) != MAP_FAILED) {
      return address;
    }
    if (errno != EEXIST || draws == 0) {
      Fatal("mapping the stub: %s", std::strerror(errno));
    }
  }
}

// As the kernel starts programs: with the exceptions masked.
void InitialRegisters(StubState* state) {
  constexpr uint16_t kControlWord = 0x37f;
  constexpr uint32_t kMxcsr = 0x1f80;
  std::memcpy(state->registers, &kControlWord, sizeof(kControlWord));
  std::memcpy(state->registers + 24, &kMxcsr, sizeof(kMxcsr));
}

void FillState(const GuestStart& guest, std::span<const sock_filter> filter,
               StubState* state) {
  InitialRegisters(state);
  state->guest_end = guest.end;
  state->guest_entry = guest.entry;
  state->guest_stack = guest.stack;
  state->boot_info = guest.boot_info;
  state->status_fd = StatusFd();
  state->name_length = static_cast<uint32_t>(
      std::min(std::strlen(ProgramName()), sizeof(state->name)));
  std::memcpy(state->name, ProgramName(), state->name_length);
  if (filter.size() > kStubMaxFilter) Fatal("seccomp: too many rules");
  state->filter_length = static_cast<uint32_t>(filter.size());
  std::memcpy(state->filter(), filter.data(), filter.size_bytes());
}

void SetAction(int number, const struct sigaction& action) {
  if (::sigaction(number, &action, nullptr) != 0) {
    Fatal("sigaction: %s", std::strerror(errno));
  }
}

// `blocked` while one of `numbers` is handled; itself it always is.
void HandleInStub(uint64_t stub, std::initializer_list<int> numbers,
                  std::initializer_list<int> blocked) {
  struct sigaction action = {};
  action.sa_sigaction =
      reinterpret_cast<void (*)(int, siginfo_t*, void*)>(stub + kStubHandle);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int number : blocked) ::sigaddset(&action.sa_mask, number);
  for (const int number : numbers) SetAction(number, action);
}

void HandOverSignals(uint64_t stub) {
  stack_t stack = {};
  stack.ss_sp = Pointer(stub + kStubCodeSize);
  stack.ss_size = kStubStackSize;
  if (::sigaltstack(&stack, nullptr) != 0) {
    Fatal("sigaltstack: %s", std::strerror(errno));
  }
  // While a fault is reported the process can still be asked to end: whoever
  // reads the report may not.
  HandleInStub(stub, kFaults, kFaults);
  HandleInStub(stub, kRequestsToEnd, kRequestsToEnd);
  // There are no counters and no snapshots here, and asking for them is no
  // reason to die.
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  SetAction(SIGUSR1, ignore);
  SetAction(SIGUSR2, ignore);
  // A fault whose signal is blocked would not be told.
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
    Fatal("sigprocmask: %s", std::strerror(errno));
  }
}

// The C library has told the kernel where its restartable sequences are. The
// kernel would end the process when that is no longer mapped. The registered
// length is not known exactly: at least the area's first size, a multiple of
// its alignment.
void UnregisterRseq() {
  constexpr unsigned kFirstSize = 32;
  constexpr unsigned kLargestSize = 1024;
  if (__rseq_size == 0) return;  // not registered
  char* thread;
  asm("mov %%fs:0, %0" : "=r"(thread));
  for (unsigned size = kFirstSize; size <= kLargestSize; size += 4) {
    if (::syscall(SYS_rseq, thread + __rseq_offset, size, RSEQ_FLAG_UNREGISTER,
                  RSEQ_SIG) == 0) {
      return;
    }
  }
  Fatal("rseq: %s", std::strerror(errno));
}

// What the kernel would read or write in the tender's memory when the thread
// is preempted or ends.
void ForgetThread() {
  constexpr size_t kRobustListHead = 3 * sizeof(void*);
  UnregisterRseq();
  ::syscall(SYS_set_robust_list, nullptr, kRobustListHead);
  ::syscall(SYS_set_tid_address, nullptr);
}

}  // namespace

uint64_t PlaceStub(uint64_t guest_end) {
  const uint64_t address = MapStub(guest_end + kGap);
  // Moved, not copied: all tenders share the page of the file, and a page that
  // was writable never becomes executable.
  if (::mremap(serai_spt_stub, kStubCodeSize, kStubCodeSize,
               MREMAP_MAYMOVE | MREMAP_FIXED, Pointer(address)) == MAP_FAILED) {
    Fatal("moving the stub: %s", std::strerror(errno));
  }
  return address;
}

void EnterGuest(uint64_t stub, const GuestStart& guest,
                std::span<const sock_filter> filter) {
  auto* const state = static_cast<StubState*>(Pointer(stub + kStubStateOffset));
  FillState(guest, filter, state);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fatal("prctl(PR_SET_NO_NEW_PRIVS): %s", std::strerror(errno));
  }
  HandOverSignals(stub);
  ForgetThread();
  reinterpret_cast<void (*)(StubState*)>(stub + kStubEnter)(state);
  __builtin_unreachable();
}

}  // namespace serai::tender::spt
