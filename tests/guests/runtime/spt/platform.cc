// SPDX-License-Identifier: Apache-2.0
// The platform on spt, and the entry point: system calls of Linux, only those
// that the tender's filter lets through.

#include "tests/guests/runtime/platform.h"

#include "tests/guests/runtime/start.h"

namespace serai::guest {
namespace {

[[gnu::section(".interp"), gnu::used]] constexpr char kInterpreter[24] =
    "/nonexistent/solo5/";
[[gnu::section(".note.solo5.abi"), gnu::used]] constexpr AbiNote kAbiNote = {
    .target = kTargetSpt};
[[gnu::section(".note.solo5.openbsd"),
  gnu::used]] constexpr OpenBsdNote kOpenBsdNote;

enum class SystemCall : long {
  kRead = 0,
  kWrite = 1,
  kPread64 = 17,
  kPwrite64 = 18,
  kArchPrctl = 158,
  kClockGettime = 228,
  kExitGroup = 231,
  kEpollPwait = 281,
  kTimerfdSettime = 286,
};

constexpr long kArchSetFs = 0x1002;
constexpr long kClockRealtime = 0;
constexpr long kClockMonotonic = 1;
constexpr long kTimerAbsolute = 1;
constexpr long kErrnoInterrupted = -4;
constexpr long kErrnoAgain = -11;
constexpr int kConsole = 1;
constexpr size_t kMaxDevices = 64;

struct Timespec {
  int64_t seconds;
  int64_t nanoseconds;
};
struct TimerSpec {
  Timespec interval;
  Timespec value;
};
struct [[gnu::packed]] EpollEvent {
  uint32_t events;
  uint64_t data;
};

int epoll_fd;
int timer_fd;

long Call(SystemCall call, long a = 0, long b = 0, long c = 0, long d = 0,
          long e = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(call), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}

long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

uint64_t Time(long clock) {
  Timespec time = {};
  Call(SystemCall::kClockGettime, clock, Address(&time));
  return static_cast<uint64_t>(time.seconds) * kSecond +
         static_cast<uint64_t>(time.nanoseconds);
}

// Transfers outside the device would be a system call the filter kills for.
bool IsBlock(const Device& device, uint64_t offset, size_t size) {
  return size == device.block_size && offset % size == 0 &&
         device.capacity >= size && offset <= device.capacity - size;
}

IoResult Done(long result, size_t wanted) {
  return result >= 0 && static_cast<size_t>(result) == wanted
             ? IoResult::kOk
             : IoResult::kUnspecified;
}

}  // namespace

std::string_view TargetName() { return "spt"; }

// The tender makes the console one that does not block. Waits for its reader,
// but not for ever, and then not again before it takes something.
void WriteConsole(std::string_view text) {
  constexpr uint64_t kPatience = kSecond / 10;
  static bool is_stuck;
  uint64_t deadline = 0;
  while (!text.empty()) {
    const long written =
        Call(SystemCall::kWrite, kConsole, Address(text.data()),
             static_cast<long>(text.size()));
    if (written > 0) {
      is_stuck = false;
      deadline = 0;
      text.remove_prefix(static_cast<size_t>(written));
    } else if (written == kErrnoAgain && !is_stuck) {
      const uint64_t now = MonotonicTime();
      if (deadline == 0) deadline = now + kPatience;
      is_stuck = now > deadline;
    } else if (written != kErrnoInterrupted) {
      return;
    }
  }
}

void Exit(int status) {
  while (true) Call(SystemCall::kExitGroup, status);
}

uint64_t MonotonicTime() { return Time(kClockMonotonic); }

uint64_t WallTime() { return Time(kClockRealtime); }

uint64_t Poll(uint64_t timeout) {
  const uint64_t deadline = MonotonicTime() + timeout;
  TimerSpec timer = {};
  timer.value.seconds = static_cast<int64_t>(deadline / kSecond);
  // Never 0, which would disarm the timer.
  timer.value.nanoseconds = static_cast<int64_t>(deadline % kSecond) | 1;
  Call(SystemCall::kTimerfdSettime, timer_fd, kTimerAbsolute, Address(&timer));
  EpollEvent events[kMaxDevices + 1];
  long count;
  do {
    count = Call(SystemCall::kEpollPwait, epoll_fd, Address(events),
                 kMaxDevices + 1, -1);
  } while (count == kErrnoInterrupted);
  uint64_t ready = 0;
  for (long i = 0; i < count; ++i) {
    if (events[i].data < kMaxDevices) ready |= uint64_t{1} << events[i].data;
  }
  return ready;
}

IoResult NetRead(const Device& device, std::byte* data, size_t& size) {
  const long result = Call(SystemCall::kRead, device.host_fd, Address(data),
                           static_cast<long>(size));
  if (result == 0 || result == kErrnoAgain) return IoResult::kAgain;
  if (result < 0) return IoResult::kUnspecified;
  size = static_cast<size_t>(result);
  return IoResult::kOk;
}

IoResult NetWrite(const Device& device, const std::byte* data, size_t size) {
  const long result = Call(SystemCall::kWrite, device.host_fd, Address(data),
                           static_cast<long>(size));
  if (result == kErrnoAgain) return IoResult::kAgain;
  return Done(result, size);
}

IoResult BlockRead(const Device& device, uint64_t offset, std::byte* data,
                   size_t size) {
  if (!IsBlock(device, offset, size)) return IoResult::kInvalid;
  return Done(Call(SystemCall::kPread64, device.host_fd, Address(data),
                   static_cast<long>(size), static_cast<long>(offset)),
              size);
}

IoResult BlockWrite(const Device& device, uint64_t offset,
                    const std::byte* data, size_t size) {
  if (!IsBlock(device, offset, size)) return IoResult::kInvalid;
  return Done(Call(SystemCall::kPwrite64, device.host_fd, Address(data),
                   static_cast<long>(size), static_cast<long>(offset)),
              size);
}

bool SetTrapHandler(TrapHandler /*handler*/) { return false; }

}  // namespace serai::guest

extern "C" [[noreturn]] void _start(const serai::guest::SptBootInfo* boot_info);

void _start(const serai::guest::SptBootInfo* boot_info) {
  using namespace serai::guest;
  Call(SystemCall::kArchPrctl, kArchSetFs,
       static_cast<long>(PrepareThreadLocals()));
  epoll_fd = boot_info->epoll_fd;
  timer_fd = boot_info->timer_fd;
  SetMachine(boot_info->memory_size, boot_info->command_line,
             boot_info->manifest);
  Run();
}
