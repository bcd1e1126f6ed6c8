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

using tender::policy::kKill;
using tender::policy::kTrap;

constexpr int kEpoll = 10;
constexpr int kTimer = 11;

constexpr int kStatus = 12;
// Not a round number in either half.
constexpr uint64_t kStubCall = 0x5a5a'0001'2022;

tender::Filter SptFilter(const tender::DeviceTable& devices,
                         int status_fd = -1) {
  return tender::spt::MakeFilter(
      tender::spt::BindPolicy(devices, {kEpoll, kTimer, status_fd, kStubCall}));
}

std::vector<Wanted> WantedOfAnyGuest() {
  return {
      {SYS_clock_gettime, {{0, Only(CLOCK_MONOTONIC)}}},
      {SYS_clock_gettime, {{0, Only(CLOCK_REALTIME)}}},
      {SYS_epoll_pwait, {{0, Only(kEpoll)}, {4, Only(0)}}},
      {SYS_timerfd_settime, {{0, Only(kTimer)}}},
      {SYS_write, {{0, Only(1)}}},
      {SYS_arch_prctl, {{0, Only(ARCH_SET_FS)}}},
      {.number = SYS_exit_group, .from = kStubCall},
      {.number = SYS_ppoll,
       .arguments = {{1, Only(1)}, {3, Only(0)}},
       .from = kStubCall},
      {.number = SYS_write, .arguments = {{0, Only(2)}}, .from = kStubCall},
      {.number = SYS_rt_sigreturn, .verdict = kKill, .from = kStubCall},
  };
}

std::vector<Wanted> WantedWithoutDevices() {
  std::vector<Wanted> wanted = WantedOfAnyGuest();
  wanted.push_back({SYS_exit_group, {{0, Only(0)}}});
  wanted.push_back({SYS_exit_group, {{0, Only(255)}}, kTrap});
  wanted.push_back(
      {.number = SYS_exit_group, .verdict = kTrap, .not_in_first = 255});
  wanted.push_back({SYS_exit_group});
  return wanted;
}

Wanted BlockCall(long number, int fd) {
  return {number,
          {{0, Only(static_cast<uint64_t>(fd))},
           {2, Only(kBlockSize)},
           {3, UpTo(kCapacity - kBlockSize)}}};
}

TEST(SptPolicyTest, AllowsWhatTheBindingsUseAndNothingElse) {
  const tender::DeviceTable devices;
  PolicyModel(WantedWithoutDevices(), kTrap)
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
  PolicyModel(wanted, kTrap).ExpectFollowedBy(SptFilter(devices).Code());
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
    PolicyModel(wanted, kTrap).ExpectFollowedBy(filter.Code());
  }
}

TEST(SptPolicyTest, TellsOfEachExitWhereSomebodyWantsToKnow) {
  const tender::DeviceTable devices;
  std::vector<Wanted> wanted = WantedOfAnyGuest();
  wanted.push_back({.number = SYS_exit_group, .verdict = kTrap});
  wanted.push_back({.number = SYS_write,
                    .arguments = {{0, Only(kStatus)}},
                    .from = kStubCall});
  PolicyModel(wanted, kTrap)
      .ExpectFollowedBy(SptFilter(devices, kStatus).Code());
}

}  // namespace
}  // namespace serai::testing
