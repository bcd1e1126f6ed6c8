// SPDX-License-Identifier: Apache-2.0
#include "tender/spt/rules.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace serai::tender::spt {
namespace {

void AddNetRules(int fd, Filter* filter) {
  filter->Allow(SYS_read, {EqualsFd(0, fd)});
  filter->Allow(SYS_write, {EqualsFd(0, fd)});
}

// One whole block, within the device: arguments 2 and 3 are size and offset.
void AddBlockRules(const Device& device, Filter* filter) {
  const std::initializer_list<Argument> arguments = {
      EqualsFd(0, device.fd), Equals(2, device.block_size),
      AtMost(3, device.capacity - device.block_size)};
  filter->Allow(SYS_pread64, arguments);
  if (device.read_only) {
    filter->Refuse(SYS_pwrite64, EROFS, {EqualsFd(0, device.fd)});
  } else {
    filter->Allow(SYS_pwrite64, arguments);
  }
}

}  // namespace

void AddRules(const DeviceTable& devices, int epoll_fd, int timer_fd,
              Filter* filter) {
  filter->Allow(SYS_clock_gettime, {Equals(0, CLOCK_MONOTONIC)});
  for (const Device& device : devices) {
    if (device.kind == Device::Kind::kNet) AddNetRules(device.fd, filter);
  }
  // With no signal mask: a guest could wait for ever with SIGTERM blocked.
  filter->Allow(SYS_epoll_pwait, {EqualsFd(0, epoll_fd), Equals(4, 0)});
  filter->Allow(SYS_timerfd_settime, {EqualsFd(0, timer_fd)});
  filter->Allow(SYS_write, {EqualsFd(0, STDOUT_FILENO)});
  filter->Allow(SYS_clock_gettime, {Equals(0, CLOCK_REALTIME)});
  for (const Device& device : devices) {
    if (device.kind == Device::Kind::kBlock) AddBlockRules(device, filter);
  }
  filter->Allow(SYS_arch_prctl, {Equals(0, ARCH_SET_FS)});
  filter->Allow(SYS_exit_group, {});
}

}  // namespace serai::tender::spt
