// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/hypercall.h"

#include <linux/time_types.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "tender/device_io.h"
#include "tender/hvt/ring_thread.h"
#include "tender/report.h"

namespace serai::tender::hvt {
namespace {

using solo5::HvtHypercall;
using solo5::Result;

constexpr uint64_t kNanoseconds = 1'000'000'000;
// About 146 years: nobody waits longer, and sums with it do not overflow.
constexpr uint64_t kLongestWait = uint64_t{1} << 62;

uint64_t Now(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanoseconds +
         static_cast<uint64_t>(now.tv_nsec);
}

[[noreturn]] void InvalidAccess(uint64_t address, uint64_t length) {
  Violation("Invalid guest access: gpa=0x%llx, sz=%llu",
            static_cast<unsigned long long>(address),
            static_cast<unsigned long long>(length));
}

}  // namespace

template <typename T>
T Hypercalls::LoadArgument(uint64_t address) const {
  T argument;
  if (!memory_->Load(address, &argument)) InvalidAccess(address, sizeof(T));
  return argument;
}

// A call that could not answer is not done.
template <typename T>
T Hypercalls::LoadForAnswer(uint64_t address) const {
  Writable(address, sizeof(T));
  return LoadArgument<T>(address);
}

template <typename T>
void Hypercalls::StoreArgument(uint64_t address, const T& argument) const {
  if (!memory_->Store(address, argument)) InvalidAccess(address, sizeof(T));
}

uint8_t* Hypercalls::Readable(uint64_t address, uint64_t length) const {
  if (!memory_->IsReadable(address, length)) InvalidAccess(address, length);
  return memory_->At(address);
}

uint8_t* Hypercalls::Writable(uint64_t address, uint64_t length) const {
  if (!memory_->IsWritable(address, length)) InvalidAccess(address, length);
  return memory_->At(address);
}

const Device* Hypercalls::Find(uint64_t handle, Device::Kind kind) const {
  if (handle >= devices_->size()) return nullptr;
  const Device& device = (*devices_)[handle];
  return device.kind == kind ? &device : nullptr;
}

DeviceCounters* Hypercalls::CountersOf(const Device& device) const {
  return &counters_->devices[static_cast<size_t>(&device - devices_->data())];
}

void Hypercalls::Serve(uint16_t port, uint8_t size, uint32_t address) {
  if (size == sizeof(address) && port > solo5::kHvtPortBase &&
      port < solo5::kHvtPortBase + Counters::kHypercalls) {
    ++counters_->hypercalls[port - solo5::kHvtPortBase];
    switch (static_cast<HvtHypercall>(port - solo5::kHvtPortBase)) {
      case HvtHypercall::kWalltime:
        return Walltime(address);
      case HvtHypercall::kPuts:
        return Puts(address);
      case HvtHypercall::kPoll:
        return Poll(address);
      case HvtHypercall::kBlockWrite:
        return BlockWrite(address);
      case HvtHypercall::kBlockRead:
        return BlockRead(address);
      case HvtHypercall::kNetWrite:
        return NetWrite(address);
      case HvtHypercall::kNetRead:
        return NetRead(address);
      case HvtHypercall::kHalt:
        Halt(address);
    }
  }
  if (size == sizeof(address) && port == solo5::kHvtRingPort &&
      ring_ != nullptr) {
    return ring_->Kick();
  }
  Violation("Invalid guest port access: port=0x%x", port);
}

void Hypercalls::Walltime(uint64_t address) {
  StoreArgument(address, solo5::HvtWalltime{Now(CLOCK_REALTIME)});
}

void Hypercalls::Puts(uint64_t address) {
  const auto puts = LoadArgument<solo5::HvtPuts>(address);
  if (puts.len > 0) console_->Write(Readable(puts.data, puts.len), puts.len);
}

void Hypercalls::Sort(const epoll_event& event, Events* events) {
  if (event.data.u64 == kRequestEvent) {
    events->request = true;
  } else if (event.data.u64 == kConsoleEvent) {
    events->console = true;
  } else {
    ++events->count;
    events->devices |= uint64_t{1} << event.data.u64;
    // A device that is gone would be ready for ever. The guest is told once,
    // and finds out when it reads.
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) {
      ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, (*devices_)[event.data.u64].fd,
                  nullptr);
    }
  }
}

// Waits once, at most `timeout` ns; a signal may end that early.
Hypercalls::Events Hypercalls::Wait(uint64_t timeout) {
  constexpr int kMaxEvents = solo5::kMaxManifestEntries + 2;
  epoll_event ready[kMaxEvents];
  __kernel_timespec wait = {};
  wait.tv_sec = static_cast<int64_t>(timeout / kNanoseconds);
  wait.tv_nsec = static_cast<int64_t>(timeout % kNanoseconds);
  const long n = ::syscall(SYS_epoll_pwait2, epoll_fd_, ready, kMaxEvents,
                           &wait, nullptr, size_t{0});
  if (n < 0 && errno != EINTR) Fatal("epoll_pwait2: %s", std::strerror(errno));
  Events events;
  for (long i = 0; i < n; ++i) Sort(ready[i], &events);
  return events;
}

// Only while there is something to write: a descriptor that always takes more
// would keep the guest awake.
void Hypercalls::WatchConsole(bool watch) {
  epoll_event event = {};
  event.events = EPOLLOUT;
  event.data.u64 = kConsoleEvent;
  ::epoll_ctl(epoll_fd_, watch ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, console_->fd(),
              &event);
}

// Waits for a device until `deadline`, or until a request wakes the guest.
// Meanwhile the console is served.
Hypercalls::Events Hypercalls::Sleep(uint64_t deadline) {
  uint64_t now = Now(CLOCK_MONOTONIC);
  for (;;) {
    console_->Drain();
    const bool watches = console_->is_pending();
    if (watches) WatchConsole(true);
    const Events events = Wait(now < deadline ? deadline - now : 0);
    if (watches) WatchConsole(false);
    const bool wake = events.request && sleep_hook_(sleep_context_);
    if (events.count > 0 || wake) return events;
    now = Now(CLOCK_MONOTONIC);
    if (now >= deadline) return events;
  }
}

void Hypercalls::Poll(uint64_t address) {
  const auto poll = LoadForAnswer<solo5::HvtPoll>(address);
  PollUntil(Now(CLOCK_MONOTONIC) + std::min(poll.timeout_nsecs, kLongestWait),
            address);
}

void Hypercalls::PollUntil(uint64_t deadline, uint64_t address) {
  const Events events = Sleep(deadline);
  const bool over = events.count > 0 || Now(CLOCK_MONOTONIC) >= deadline;
  pending_poll_ = over ? 0 : address;
  poll_deadline_ = deadline;
  if (!over) return;
  auto poll = LoadArgument<solo5::HvtPoll>(address);
  poll.ready_set = events.devices;
  poll.ret = events.count;
  StoreArgument(address, poll);
}

Hypercalls::PendingPoll Hypercalls::pending_poll() const {
  const uint64_t now = Now(CLOCK_MONOTONIC);
  return {pending_poll_, poll_deadline_ > now ? poll_deadline_ - now : 0};
}

void Hypercalls::SetPendingPoll(const PendingPoll& poll) {
  pending_poll_ = poll.address;
  poll_deadline_ = Now(CLOCK_MONOTONIC) + std::min(poll.timeout, kLongestWait);
}

void Hypercalls::FinishPoll() {
  if (pending_poll_ != 0) PollUntil(poll_deadline_, pending_poll_);
}

void Hypercalls::EndPoll() {
  poll_deadline_ = 0;
  FinishPoll();
}

void Hypercalls::BlockWrite(uint64_t address) {
  auto io = LoadForAnswer<solo5::HvtBlockIo>(address);
  const uint8_t* data = Readable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kBlock);
  const Result result =
      device == nullptr
          ? Result::kInvalid
          : WriteBlocks(*device, io.offset, data, io.len, CountersOf(*device));
  io.ret = static_cast<int32_t>(result);
  StoreArgument(address, io);
}

void Hypercalls::BlockRead(uint64_t address) {
  auto io = LoadForAnswer<solo5::HvtBlockIo>(address);
  uint8_t* data = Writable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kBlock);
  const Result result =
      device == nullptr
          ? Result::kInvalid
          : ReadBlocks(*device, io.offset, data, io.len, CountersOf(*device));
  io.ret = static_cast<int32_t>(result);
  StoreArgument(address, io);
}

void Hypercalls::NetWrite(uint64_t address) {
  auto io = LoadForAnswer<solo5::HvtNetIo>(address);
  const uint8_t* data = Readable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kNet);
  const Result result =
      device == nullptr ? Result::kInvalid
                        : SendFrame(*device, data, io.len, CountersOf(*device));
  io.ret = static_cast<int32_t>(result);
  StoreArgument(address, io);
}

void Hypercalls::NetRead(uint64_t address) {
  auto io = LoadForAnswer<solo5::HvtNetIo>(address);
  uint8_t* data = Writable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kNet);
  const Result result = device == nullptr ? Result::kInvalid
                                          : ReceiveFrame(*device, data, &io.len,
                                                         CountersOf(*device));
  io.ret = static_cast<int32_t>(result);
  StoreArgument(address, io);
}

void Hypercalls::Halt(uint64_t address) {
  constexpr int32_t kAbort = 255;
  const auto halt = LoadArgument<solo5::HvtHalt>(address);
  if (halt.exit_status != kAbort) EndWithStatus(halt.exit_status);
  Trap trap;
  const bool told = halt.cookie != 0 && memory_->Load(halt.cookie, &trap);
  const Trap* const reason = told ? &trap : nullptr;
  if (abort_hook_ != nullptr) abort_hook_(abort_context_, reason);
  EndWithAbort(reason, nullptr);
}

}  // namespace serai::tender::hvt
