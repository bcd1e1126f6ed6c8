// SPDX-License-Identifier: Apache-2.0
#include "tender/policy/spt.h"

#include <asm/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <ctime>

#include "gtest/gtest.h"
#include "tender/spt/rules.h"
#include "tests/tender/bpf_evaluator.h"
#include "tests/tender/policy/policy_model.h"
#include "tests/tender/policy/test_devices.h"

namespace serai::testing {
namespace {

constexpr int kEpoll = 10;
constexpr int kTimer = 11;

tender::Filter SptFilter(const tender::DeviceTable& devices) {
  return tender::spt::MakeFilter(
      tender::spt::BindPolicy(devices, kEpoll, kTimer));
}

std::vector<Wanted> WantedWithoutDevices() {
  return {
      {SYS_clock_gettime, {{0, Only(CLOCK_MONOTONIC)}}},
      {SYS_clock_gettime, {{0, Only(CLOCK_REALTIME)}}},
      {SYS_epoll_pwait, {{0, Only(kEpoll)}, {4, Only(0)}}},
      {SYS_timerfd_settime, {{0, Only(kTimer)}}},
      {SYS_write, {{0, Only(1)}}},
      {SYS_arch_prctl, {{0, Only(ARCH_SET_FS)}}},
      {SYS_exit_group},
  };
}

Wanted BlockCall(long number, int fd) {
  return {number,
          {{0, Only(static_cast<uint64_t>(fd))},
           {2, Only(kBlockSize)},
           {3, UpTo(kCapacity - kBlockSize)}}};
}

TEST(SptPolicyTest, AllowsWhatTheBindingsUseAndNothingElse) {
  const tender::DeviceTable devices;
  PolicyModel(WantedWithoutDevices(), tender::policy::kKill)
      .ExpectFollowedBy(SptFilter(devices).Code());
}

TEST(SptPolicyTest, AddsWhatItsDevicesTake) {
  const tender::DeviceTable devices = TestDevices();
  std::vector<Wanted> wanted = WantedWithoutDevices();
  wanted.push_back({SYS_read, {{0, Only(kNetFd)}}});
  wanted.push_back({SYS_write, {{0, Only(kNetFd)}}});
  wanted.push_back(BlockCall(SYS_pread64, kDiskFd));
  wanted.push_back(BlockCall(SYS_pread64, kReadOnlyDiskFd));
  wanted.push_back(BlockCall(SYS_pwrite64, kDiskFd));
  wanted.push_back(
      {SYS_pwrite64, {{0, Only(kReadOnlyDiskFd)}}, SECCOMP_RET_ERRNO | EROFS});
  PolicyModel(wanted, tender::policy::kKill)
      .ExpectFollowedBy(SptFilter(devices).Code());
}

TEST(SptPolicyTest, TellsAnyNumberOfDevicesApart) {
  for (const size_t like : {1u, 2u}) {
    const tender::Device device = TestDevices()[like];
    const tender::DeviceTable devices = ManyDevices(device);
    const tender::Filter filter = SptFilter(devices);
    EXPECT_LT(filter.Code().size(), size_t{BPF_MAXINSNS} / 2);
    std::vector<Wanted> wanted = WantedWithoutDevices();
    for (size_t i = 1; i < devices.size(); ++i) {
      const auto fd = static_cast<uint64_t>(devices[i].fd);
      if (device.kind == tender::Device::Kind::kNet) {
        wanted.push_back({SYS_read, {{0, Only(fd)}}});
        wanted.push_back({SYS_write, {{0, Only(fd)}}});
      } else {
        wanted.push_back(BlockCall(SYS_pread64, devices[i].fd));
        wanted.push_back(BlockCall(SYS_pwrite64, devices[i].fd));
      }
    }
    PolicyModel(wanted, tender::policy::kKill).ExpectFollowedBy(filter.Code());
  }
}

}  // namespace
}  // namespace serai::testing
