// SPDX-License-Identifier: Apache-2.0
#include "tender/filter.h"

#include <asm/prctl.h>
#include <linux/audit.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <ctime>

#include "gtest/gtest.h"
#include "tender/devices.h"
#include "tender/hvt/rules.h"
#include "tender/spt/rules.h"
#include "tests/tender/bpf_evaluator.h"

namespace serai::tender {
namespace {

using serai::testing::EvaluateFilter;
using serai::testing::EvaluateSystemCall;

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr uint64_t kBuffer = 0x200000;

constexpr int kEpoll = 10;
constexpr int kTimer = 11;
constexpr int kVcpu = 12;
constexpr int kNet = 20;
constexpr int kDisk = 21;
constexpr int kReadOnlyDisk = 22;
// Not a round number in either half, so that both halves are compared.
constexpr uint64_t kCapacity = 0x5'0000'8000;

DeviceTable Devices() {
  DeviceTable devices;
  devices[1].kind = Device::Kind::kNet;
  devices[1].fd = kNet;
  devices[2].kind = Device::Kind::kBlock;
  devices[2].fd = kDisk;
  devices[2].block_size = 4096;
  devices[2].capacity = kCapacity;
  devices[3] = devices[2];
  devices[3].fd = kReadOnlyDisk;
  devices[3].read_only = true;
  return devices;
}

TEST(FilterTest, ComparesAllBitsOfAnArgument) {
  Filter filter;
  filter.Allow(SYS_read, {Equals(0, 0x1'0000'0007), AtMost(2, 0x2'0000'0010)});
  const auto verdict = [&](uint64_t first, uint64_t third) {
    return EvaluateSystemCall(filter.Program(), SYS_read, {first, 0, third});
  };
  EXPECT_EQ(verdict(0x1'0000'0007, 0), kAllow);
  EXPECT_EQ(verdict(0x1'0000'0007, 0x2'0000'0010), kAllow);
  EXPECT_EQ(verdict(0x1'0000'0007, 0x1'ffff'ffff), kAllow);
  EXPECT_EQ(verdict(0x1'0000'0007, 0x2'0000'0011), kKill);
  EXPECT_EQ(verdict(0x1'0000'0007, 0x3'0000'0000), kKill);
  EXPECT_EQ(verdict(0x7, 0), kKill);
  EXPECT_EQ(verdict(0x2'0000'0007, 0), kKill);
  EXPECT_EQ(verdict(0x1'0000'0008, 0), kKill);
}

TEST(FilterTest, LetsTheFirstMatchingRuleDecide) {
  Filter filter;
  filter.Refuse(SYS_read, EROFS, {Equals(0, 1)});
  filter.Allow(SYS_read, {});
  EXPECT_EQ(EvaluateSystemCall(filter.Program(), SYS_read, {1}),
            SECCOMP_RET_ERRNO | EROFS);
  EXPECT_EQ(EvaluateSystemCall(filter.Program(), SYS_read, {2}), kAllow);
}

TEST(FilterTest, KillsForeignSystemCalls) {
  Filter filter;
  filter.Allow(SYS_exit_group, {});
  seccomp_data data = {};
  data.arch = AUDIT_ARCH_I386;
  data.nr = SYS_exit_group;
  EXPECT_EQ(EvaluateFilter(filter.Program(), data), kKill);
  data.arch = AUDIT_ARCH_X86_64;
  EXPECT_EQ(EvaluateFilter(filter.Program(), data), kAllow);
  data.nr |= 0x40000000;  // the same call of the x32 ABI
  EXPECT_EQ(EvaluateFilter(filter.Program(), data), kKill);
}

class SptRulesTest : public ::testing::Test {
 protected:
  SptRulesTest() { spt::AddRules(Devices(), kEpoll, kTimer, &filter_); }

  uint32_t Verdict(long number, std::initializer_list<uint64_t> arguments) {
    return EvaluateSystemCall(filter_.Program(), number, arguments);
  }

  Filter filter_;
};

TEST_F(SptRulesTest, AllowsWhatTheBindingsUse) {
  EXPECT_EQ(Verdict(SYS_write, {1, kBuffer, 5}), kAllow);
  EXPECT_EQ(Verdict(SYS_exit_group, {3}), kAllow);
  EXPECT_EQ(Verdict(SYS_arch_prctl, {ARCH_SET_FS, kBuffer}), kAllow);
  EXPECT_EQ(Verdict(SYS_clock_gettime, {CLOCK_MONOTONIC, kBuffer}), kAllow);
  EXPECT_EQ(Verdict(SYS_clock_gettime, {CLOCK_REALTIME, kBuffer}), kAllow);
  EXPECT_EQ(Verdict(SYS_epoll_pwait, {kEpoll, kBuffer, 2}), kAllow);
  EXPECT_EQ(Verdict(SYS_timerfd_settime, {kTimer, 1, kBuffer}), kAllow);
  EXPECT_EQ(Verdict(SYS_read, {kNet, kBuffer, 1514}), kAllow);
  EXPECT_EQ(Verdict(SYS_write, {kNet, kBuffer, 1514}), kAllow);
}

TEST_F(SptRulesTest, KillsWhatItMayNotUse) {
  EXPECT_EQ(Verdict(SYS_write, {2, kBuffer, 5}), kKill);
  EXPECT_EQ(Verdict(SYS_write, {kDisk, kBuffer, 5}), kKill);
  EXPECT_EQ(Verdict(SYS_read, {0, kBuffer, 5}), kKill);
  EXPECT_EQ(Verdict(SYS_arch_prctl, {ARCH_SET_GS, kBuffer}), kKill);
  EXPECT_EQ(Verdict(SYS_clock_gettime, {CLOCK_BOOTTIME, kBuffer}), kKill);
  EXPECT_EQ(Verdict(SYS_epoll_pwait, {kNet, kBuffer, 2}), kKill);
  // With a signal mask.
  EXPECT_EQ(Verdict(SYS_epoll_pwait, {kEpoll, kBuffer, 2, 0, kBuffer, 8}),
            kKill);
  for (const long number : {SYS_openat, SYS_mmap, SYS_mprotect, SYS_execve,
                            SYS_clone, SYS_socket, SYS_ioctl, SYS_kill}) {
    EXPECT_EQ(Verdict(number, {}), kKill) << number;
  }
}

TEST_F(SptRulesTest, KeepsBlockTransfersWithinTheDevice) {
  const uint64_t last = kCapacity - 4096;
  for (const long number : {SYS_pread64, SYS_pwrite64}) {
    EXPECT_EQ(Verdict(number, {kDisk, kBuffer, 4096, 0}), kAllow);
    EXPECT_EQ(Verdict(number, {kDisk, kBuffer, 4096, last}), kAllow);
    EXPECT_EQ(Verdict(number, {kDisk, kBuffer, 4096, last + 1}), kKill);
    EXPECT_EQ(Verdict(number, {kDisk, kBuffer, 4096, UINT64_MAX}), kKill);
    EXPECT_EQ(Verdict(number, {kDisk, kBuffer, 512, 0}), kKill);
    EXPECT_EQ(Verdict(number, {kNet, kBuffer, 4096, 0}), kKill);
  }
}

TEST_F(SptRulesTest, RefusesWritesToAReadOnlyDeviceWithAnError) {
  EXPECT_EQ(Verdict(SYS_pread64, {kReadOnlyDisk, kBuffer, 4096, 0}), kAllow);
  EXPECT_EQ(Verdict(SYS_pwrite64, {kReadOnlyDisk, kBuffer, 4096, 0}),
            SECCOMP_RET_ERRNO | EROFS);
}

TEST(SptRulesSizeTest, FitTheKernelsLimitWithEveryDevice) {
  DeviceTable devices;
  for (size_t i = 1; i < devices.size(); ++i) {
    devices[i] = Devices()[2];
    devices[i].fd = static_cast<int>(100 + i);
  }
  Filter filter;
  spt::AddRules(devices, kEpoll, kTimer, &filter);
  EXPECT_LT(filter.Program().size(), size_t{BPF_MAXINSNS});
  EXPECT_EQ(EvaluateSystemCall(filter.Program(), SYS_pread64,
                               {163, kBuffer, 4096, 0}),
            kAllow);
}

TEST(HvtRulesTest, LeaveTheTenderWhatItServesTheGuestWith) {
  Filter filter;
  hvt::AddRules(Devices(), kEpoll, kVcpu, &filter);
  const auto verdict = [&](long number,
                           std::initializer_list<uint64_t> arguments) {
    return EvaluateSystemCall(filter.Program(), number, arguments);
  };
  EXPECT_EQ(verdict(SYS_ioctl, {kVcpu, KVM_RUN, 0}), kAllow);
  EXPECT_EQ(verdict(SYS_ioctl, {kVcpu, KVM_SET_SREGS, 0}), kKill);
  EXPECT_EQ(verdict(SYS_ioctl, {kNet, KVM_RUN, 0}), kKill);
  EXPECT_EQ(verdict(SYS_epoll_pwait2, {kEpoll}), kAllow);
  EXPECT_EQ(verdict(SYS_write, {2, kBuffer, 5}), kAllow);
  EXPECT_EQ(verdict(SYS_read, {kNet, kBuffer, 1514}), kAllow);
  EXPECT_EQ(verdict(SYS_read, {kDisk, kBuffer, 1514}), kKill);
  EXPECT_EQ(verdict(SYS_pwrite64, {kDisk, kBuffer, 512, 0}), kAllow);
  EXPECT_EQ(verdict(SYS_pwrite64, {kReadOnlyDisk, kBuffer, 512, 0}), kKill);
  EXPECT_EQ(verdict(SYS_openat, {}), kKill);
  EXPECT_EQ(verdict(SYS_exit_group, {0}), kAllow);
}

}  // namespace
}  // namespace serai::tender
