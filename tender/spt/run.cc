// SPDX-License-Identifier: Apache-2.0
#include "tender/spt/run.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/filter.h"
#include "tender/loader.h"
#include "tender/report.h"
#include "tender/spt/enter.h"
#include "tender/spt/rules.h"
#include "tender/spt/stub.h"

#if !defined(__x86_64__)
#error "the tender enters spt guests on x86_64 only"
#endif

namespace serai::tender::spt {
namespace {

using solo5::Segment;
using solo5::SptBootInfo;

int GuestProtection(const Segment& segment) {
  return (segment.readable ? PROT_READ : 0) |
         (segment.writable ? PROT_WRITE : 0) |
         (segment.executable ? PROT_EXEC : 0);
}

// Guest memory stands where the guest believes it to be. The tender is
// position-independent and far above it; should it ever not be, mapping fails.
uint8_t* MapMemory(const Guest& guest) {
  const int protection =
      PROT_READ | PROT_WRITE | (guest.options->executable_heap ? PROT_EXEC : 0);
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  void* const start = reinterpret_cast<void*>(solo5::kSptLowestAddress);
  void* const mapped = ::mmap(
      start, guest.memory - solo5::kSptLowestAddress, protection,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped == MAP_FAILED) {
    Fatal("mapping %llu MiB of guest memory: %s",
          static_cast<unsigned long long>(guest.memory >> 20),
          std::strerror(errno));
  }
  return static_cast<uint8_t*>(mapped) - solo5::kSptLowestAddress;
}

int CreateTimer(int epoll_fd) {
  const int timer =
      ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (timer < 0) Fatal("timerfd_create: %s", std::strerror(errno));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = solo5::kSptTimerEvent;
  if (::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &event) != 0) {
    Fatal("epoll_ctl: %s", std::strerror(errno));
  }
  return timer;
}

void WriteBootInfo(const Guest& guest, int epoll_fd, int timer_fd,
                   uint8_t* base) {
  const solo5::Manifest& manifest = guest.unikernel.manifest;
  SptBootInfo info = {};
  info.mem_size = guest.memory;
  info.kernel_end = guest.unikernel.kernel_end;
  info.manifest = solo5::kSptBootInfoAddress + sizeof(info);
  info.cmdline = info.manifest + solo5::ManifestSize(manifest.entry_count);
  info.epoll_fd = epoll_fd;
  info.timer_fd = timer_fd;
  std::memcpy(base + solo5::kSptBootInfoAddress, &info, sizeof(info));
  std::memcpy(base + info.manifest, &manifest,
              solo5::ManifestSize(manifest.entry_count));
  std::memcpy(base + info.cmdline, guest.command_line,
              std::strlen(guest.command_line) + 1);
  // As under hvt, no guest has business with what lies below its own memory.
  if (::mprotect(base + solo5::kSptLowestAddress,
                 solo5::kMinLoadAddress - solo5::kSptLowestAddress,
                 PROT_READ) != 0) {
    Fatal("protecting the boot information: %s", std::strerror(errno));
  }
}

// The pipe is the buffer of a console that drops what is too much: the guest
// writes to it itself. Where the kernel allows no more, it stays as large as it
// is.
void EnlargeConsole() {
  constexpr int kConsoleSize = 256 * 1024;
  const int size = ::fcntl(STDOUT_FILENO, F_GETPIPE_SZ);
  if (size < 0 || size >= kConsoleSize) return;  // no pipe, or large enough
  ::fcntl(STDOUT_FILENO, F_SETPIPE_SZ, kConsoleSize);
}

}  // namespace

void Run(const Guest& guest) {
  EnlargeConsole();
  uint8_t* const base = MapMemory(guest);
  LoadSegments(guest.kernel_fd, guest.unikernel, base, GuestProtection);
  const int epoll_fd = CreateEventPoll(guest.devices);
  const int timer_fd = CreateTimer(epoll_fd);
  WriteBootInfo(guest, epoll_fd, timer_fd, base);
  const uint64_t stub = PlaceStub(guest.memory);
  const Filter filter = MakeFilter(BindPolicy(
      guest.devices, {epoll_fd, timer_fd, StatusFd(), stub + kStubCall}));
  // As if the entry point had been called: the stack is 16-byte aligned before
  // a return address of zero.
  const GuestStart start = {.end = guest.memory,
                            .entry = guest.unikernel.entry,
                            .stack = guest.memory - sizeof(uint64_t),
                            .boot_info = solo5::kSptBootInfoAddress};
  EnterGuest(stub, start, filter.Code());
}

}  // namespace serai::tender::spt
