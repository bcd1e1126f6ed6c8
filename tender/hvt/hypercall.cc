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

// Takes the request's event out of the list; whether it was there.
bool TakeRequestEvent(epoll_event* events, int* count) {
  for (int i = 0; i < *count; ++i) {
    if (events[i].data.u64 != Hypercalls::kRequestEvent) continue;
    events[i] = events[--*count];
    return true;
  }
  return false;
}

[[noreturn]] void InvalidAccess(uint64_t address, uint64_t length) {
  Violation("Invalid guest access: gpa=0x%llx, sz=%llu",
            static_cast<unsigned long long>(address),
            static_cast<unsigned long long>(length));
}

bool IsWithin(const Device& device, uint64_t offset, uint64_t length) {
  return offset < device.capacity && length <= device.capacity - offset;
}

}  // namespace

template <typename T>
T Hypercalls::LoadArgument(uint64_t address) const {
  T argument;
  if (!memory_->Load(address, &argument)) InvalidAccess(address, sizeof(T));
  return argument;
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
  Violation("Invalid guest port access: port=0x%x", port);
}

void Hypercalls::Walltime(uint64_t address) {
  StoreArgument(address, solo5::HvtWalltime{Now(CLOCK_REALTIME)});
}

// What the console does not take is lost: a guest is not to wait for, or die
// of, whoever reads its output.
void Hypercalls::Puts(uint64_t address) {
  const auto puts = LoadArgument<solo5::HvtPuts>(address);
  if (puts.len == 0) return;
  const uint8_t* data = Readable(puts.data, puts.len);
  for (uint64_t left = puts.len; left > 0;) {
    const ssize_t n = ::write(STDOUT_FILENO, data, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    data += n;
    left -= static_cast<uint64_t>(n);
  }
}

// Waits at most `timeout` ns, or until a request wakes the guest. How many
// events there are; never an error.
int Hypercalls::WaitForEvents(uint64_t timeout, epoll_event* events, int max) {
  const uint64_t deadline = Now(CLOCK_MONOTONIC) + timeout;
  for (;;) {
    __kernel_timespec wait = {};
    wait.tv_sec = static_cast<int64_t>(timeout / kNanoseconds);
    wait.tv_nsec = static_cast<int64_t>(timeout % kNanoseconds);
    int n = static_cast<int>(::syscall(SYS_epoll_pwait2, epoll_fd_, events, max,
                                       &wait, nullptr, size_t{0}));
    if (n < 0 && errno != EINTR) {
      Fatal("epoll_pwait2: %s", std::strerror(errno));
    }
    const bool asked = TakeRequestEvent(events, &n);
    const bool wake = asked && sleep_hook_(sleep_context_);
    if (n > 0 || wake || (n == 0 && !asked)) return n;
    const uint64_t now = Now(CLOCK_MONOTONIC);
    timeout = now < deadline ? deadline - now : 0;
  }
}

void Hypercalls::Poll(uint64_t address) {
  auto poll = LoadArgument<solo5::HvtPoll>(address);
  epoll_event events[solo5::kMaxManifestEntries];
  const int count = WaitForEvents(std::min(poll.timeout_nsecs, kLongestWait),
                                  events, solo5::kMaxManifestEntries);
  poll.ready_set = 0;
  for (int i = 0; i < count; ++i) {
    poll.ready_set |= uint64_t{1} << events[i].data.u64;
  }
  poll.ret = count;
  StoreArgument(address, poll);
}

void Hypercalls::BlockWrite(uint64_t address) {
  auto io = LoadArgument<solo5::HvtBlockIo>(address);
  const uint8_t* data = Readable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kBlock);
  Result result = Result::kOk;
  if (device == nullptr || !IsWithin(*device, io.offset, io.len)) {
    result = Result::kInvalid;
  } else if (device->read_only) {
    result = Result::kError;
  } else {
    const ssize_t n =
        ::pwrite(device->fd, data, io.len, static_cast<off_t>(io.offset));
    // Going on after a write that failed would lose data silently.
    if (n < 0) Fatal("block device: write: %s", std::strerror(errno));
    if (static_cast<uint64_t>(n) != io.len) Fatal("block device: short write");
  }
  io.ret = static_cast<int32_t>(result);
  StoreArgument(address, io);
}

void Hypercalls::BlockRead(uint64_t address) {
  auto io = LoadArgument<solo5::HvtBlockIo>(address);
  uint8_t* data = Writable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kBlock);
  Result result = Result::kOk;
  if (device == nullptr || !IsWithin(*device, io.offset, io.len)) {
    result = Result::kInvalid;
  } else {
    const ssize_t n =
        ::pread(device->fd, data, io.len, static_cast<off_t>(io.offset));
    if (n < 0) Fatal("block device: read: %s", std::strerror(errno));
    if (static_cast<uint64_t>(n) != io.len) Fatal("block device: short read");
  }
  io.ret = static_cast<int32_t>(result);
  StoreArgument(address, io);
}

// A network may lose frames, so one that the host refuses is just that.
void Hypercalls::NetWrite(uint64_t address) {
  auto io = LoadArgument<solo5::HvtNetIo>(address);
  const uint8_t* data = Readable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kNet);
  if (device == nullptr) {
    io.ret = static_cast<int32_t>(Result::kInvalid);
  } else {
    [[maybe_unused]] const ssize_t n = ::write(device->fd, data, io.len);
    io.ret = static_cast<int32_t>(Result::kOk);
  }
  StoreArgument(address, io);
}

void Hypercalls::NetRead(uint64_t address) {
  auto io = LoadArgument<solo5::HvtNetIo>(address);
  uint8_t* data = Writable(io.data, io.len);
  const Device* device = Find(io.handle, Device::Kind::kNet);
  Result result = Result::kInvalid;
  if (device != nullptr) {
    const ssize_t n = ::read(device->fd, data, io.len);
    if (n > 0) {
      io.len = static_cast<uint64_t>(n);
      result = Result::kOk;
    } else if (n == 0 || errno == EAGAIN || errno == EINTR) {
      result = Result::kAgain;
    } else {
      Fatal("network device: read: %s", std::strerror(errno));
    }
  }
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
