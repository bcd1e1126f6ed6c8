// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/rules.h"

#include <linux/kvm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "tender/report.h"
#include "tender/requests.h"

namespace serai::tender::hvt {
namespace {

void AddDeviceRules(const Device& device, Filter* filter) {
  if (device.kind == Device::Kind::kNet) {
    filter->Allow(SYS_read, {EqualsFd(0, device.fd)});
    filter->Allow(SYS_write, {EqualsFd(0, device.fd)});
  } else if (device.kind == Device::Kind::kBlock) {
    filter->Allow(SYS_pread64, {EqualsFd(0, device.fd)});
    if (!device.read_only) {
      filter->Allow(SYS_pwrite64, {EqualsFd(0, device.fd)});
    }
  }
}

}  // namespace

void AddRules(const DeviceTable& devices, int epoll_fd, int vcpu_fd,
              Filter* filter) {
  filter->Allow(SYS_ioctl, {EqualsFd(0, vcpu_fd), Equals(1, KVM_RUN)});
  filter->Allow(SYS_ioctl, {EqualsFd(0, vcpu_fd), Equals(1, KVM_GET_SREGS)});
  for (const Device& device : devices) AddDeviceRules(device, filter);
  filter->Allow(SYS_epoll_pwait2, {EqualsFd(0, epoll_fd)});
  // Where the kernel's clock page does not serve it.
  filter->Allow(SYS_clock_gettime, {Equals(0, CLOCK_MONOTONIC)});
  filter->Allow(SYS_clock_gettime, {Equals(0, CLOCK_REALTIME)});
  filter->Allow(SYS_write, {EqualsFd(0, STDOUT_FILENO)});
  filter->Allow(SYS_write, {EqualsFd(0, STDERR_FILENO)});  // last words
  // Requests come by signals, which leave a byte count here.
  filter->Allow(SYS_read, {EqualsFd(0, RequestEvent())});
  filter->Allow(SYS_write, {EqualsFd(0, RequestEvent())});
  filter->Allow(SYS_rt_sigreturn, {});
  if (StatusFd() >= 0) filter->Allow(SYS_write, {EqualsFd(0, StatusFd())});
  filter->Allow(SYS_exit_group, {});
}

}  // namespace serai::tender::hvt
