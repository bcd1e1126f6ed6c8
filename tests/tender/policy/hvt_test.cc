// SPDX-License-Identifier: Apache-2.0
#include "tender/policy/hvt.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/syscall.h>

#include <ctime>

#include "gtest/gtest.h"
#include "tender/hvt/rules.h"
#include "tender/report.h"
#include "tender/requests.h"
#include "tests/tender/policy/policy_model.h"
#include "tests/tender/policy/test_devices.h"

namespace serai::testing {
namespace {

using tender::policy::Situation;
using tender::policy::Slot;

constexpr int kEpoll = 10;
constexpr int kVcpu = 12;
constexpr int kStatus = 13;
constexpr int kPageMap = 14;
constexpr int kDirectory = 15;
constexpr int kNew = 16;
constexpr int kGdb = 17;
constexpr int kOwn = 18;  // the process
// An address, with something in either half.
constexpr uint64_t kName = 0x7fff'1234'5000;

uint64_t Requests() { return static_cast<uint64_t>(tender::RequestEvent()); }

std::vector<Wanted> WantedWithoutDevices() {
  return {
      {SYS_ioctl, {{0, Only(kVcpu)}, {1, Only(KVM_RUN)}}},
      {SYS_ioctl, {{0, Only(kVcpu)}, {1, Only(KVM_GET_SREGS)}}},
      {SYS_epoll_pwait2, {{0, Only(kEpoll)}, {4, Only(0)}}},
      {SYS_clock_gettime, {{0, Only(CLOCK_MONOTONIC)}}},
      {SYS_clock_gettime, {{0, Only(CLOCK_REALTIME)}}},
      {SYS_write, {{0, Only(1)}}},
      {SYS_poll, {{1, Only(1)}}},
      {SYS_restart_syscall},
      {SYS_epoll_ctl, {{0, Only(kEpoll)}, {1, UpTo(2)}, {2, Only(1)}}},
      {SYS_write, {{0, Only(2)}}},
      {SYS_read, {{0, Only(Requests())}}},
      {SYS_write, {{0, Only(Requests())}}},
      {SYS_rt_sigreturn},
      {SYS_exit_group},
  };
}

void Check(const std::vector<Wanted>& wanted,
           const tender::Bindings& bindings) {
  PolicyModel(wanted, tender::policy::kKill)
      .ExpectFollowedBy(tender::hvt::MakeFilter(bindings).Code());
}

TEST(HvtPolicyTest, LeavesTheTenderWhatEveryGuestTakes) {
  const tender::DeviceTable devices;
  Check(WantedWithoutDevices(),
        tender::hvt::BindPolicy(devices, kEpoll, kVcpu));
}

TEST(HvtPolicyTest, AddsWhatItsDevicesTake) {
  const tender::DeviceTable devices = TestDevices();
  const auto block_call = [](long number, uint64_t fd) {
    return Wanted{number, {{0, Only(fd)}, {3, UpTo(kCapacity - 1)}}};
  };
  std::vector<Wanted> wanted = WantedWithoutDevices();
  wanted.push_back({SYS_read, {{0, Only(kNetFd)}}});
  wanted.push_back({SYS_write, {{0, Only(kNetFd)}}});
  wanted.push_back(
      {SYS_epoll_ctl, {{0, Only(kEpoll)}, {1, Only(2)}, {2, Only(kNetFd)}}});
  wanted.push_back(block_call(SYS_pread64, kDiskFd));
  wanted.push_back(block_call(SYS_pread64, kReadOnlyDiskFd));
  wanted.push_back(block_call(SYS_pwrite64, kDiskFd));
  Check(wanted, tender::hvt::BindPolicy(devices, kEpoll, kVcpu));
}

TEST(HvtPolicyTest, LetsItTellWhereSomebodyListens) {
  const tender::DeviceTable devices;
  std::vector<Wanted> wanted = WantedWithoutDevices();
  wanted.push_back({SYS_write, {{0, Only(kStatus)}}});
  tender::SetStatusFd(kStatus);
  const tender::Bindings bindings =
      tender::hvt::BindPolicy(devices, kEpoll, kVcpu);
  tender::SetStatusFd(-1);
  Check(wanted, bindings);
}

TEST(HvtPolicyTest, LetsItServeARing) {
  const tender::DeviceTable devices;
  std::vector<Wanted> wanted = WantedWithoutDevices();
  wanted.push_back({SYS_read, {{0, Only(kNew)}}});
  wanted.push_back({SYS_write, {{0, Only(kNew)}}});
  // FUTEX_WAIT and FUTEX_WAKE, within the process.
  wanted.push_back({SYS_futex, {{1, Only(128)}}});
  wanted.push_back({SYS_futex, {{1, Only(129)}}});
  wanted.push_back(
      {SYS_tgkill, {{0, Only(kOwn)}, {1, Only(kOwn)}, {2, Only(SIGURG)}}});
  tender::Bindings bindings = tender::hvt::BindPolicy(devices, kEpoll, kVcpu);
  bindings.Have(Situation::kNetRing)
      .Set(Slot::kRingFd, kNew)
      .Set(Slot::kOwnPid, kOwn);
  Check(wanted, bindings);
}

TEST(HvtPolicyTest, LetsItWriteOneCoreFile) {
  const tender::DeviceTable devices;
  std::vector<Wanted> wanted = WantedWithoutDevices();
  constexpr uint64_t kFlags =
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  wanted.push_back({SYS_openat,
                    {{0, Only(kDirectory)},
                     {1, Only(kName)},
                     {2, Only(kFlags)},
                     {3, Only(0600)}}});
  wanted.push_back(
      {SYS_unlinkat, {{0, Only(kDirectory)}, {1, Only(kName)}, {2, Only(0)}}});
  wanted.push_back({SYS_pwrite64, {{0, Only(kNew)}}});
  wanted.push_back({SYS_ftruncate, {{0, Only(kNew)}}});
  wanted.push_back({SYS_ioctl, {{0, Only(kVcpu)}, {1, Only(KVM_GET_FPU)}}});
  wanted.push_back({SYS_pread64, {{0, Only(kPageMap)}}});
  tender::Bindings bindings = tender::hvt::BindPolicy(devices, kEpoll, kVcpu);
  bindings.Have(Situation::kPageMap)
      .Set(Slot::kPageMapFd, kPageMap)
      .Have(Situation::kDumpCore)
      .Set(Slot::kCoreDirectoryFd, kDirectory)
      .Set(Slot::kCoreFd, kNew)
      .Set(Slot::kCoreName, kName);
  Check(wanted, bindings);
}

TEST(HvtPolicyTest, LetsItTalkToADebugger) {
  const tender::DeviceTable devices;
  std::vector<Wanted> wanted = WantedWithoutDevices();
  for (const long number : {SYS_recvfrom, SYS_sendto, SYS_close}) {
    wanted.push_back({number, {{0, Only(kGdb)}}});
  }
  for (const uint64_t request :
       {uint64_t{KVM_GET_FPU}, uint64_t{KVM_SET_FPU},
        uint64_t{KVM_SET_GUEST_DEBUG}, uint64_t{KVM_SET_REGS}}) {
    wanted.push_back({SYS_ioctl, {{0, Only(kVcpu)}, {1, Only(request)}}});
  }
  tender::Bindings bindings = tender::hvt::BindPolicy(devices, kEpoll, kVcpu);
  bindings.Have(Situation::kGdb).Set(Slot::kGdbFd, kGdb);
  Check(wanted, bindings);
}

TEST(HvtPolicyTest, LetsItWriteTheFilesOfASnapshot) {
  const tender::DeviceTable devices;
  std::vector<Wanted> wanted = WantedWithoutDevices();
  constexpr uint64_t kFlags =
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  for (const uint64_t name : {kName, kName + 0x10, kName + 0x20}) {
    wanted.push_back({SYS_openat,
                      {{0, Only(kDirectory)},
                       {1, Only(name)},
                       {2, Only(kFlags)},
                       {3, Only(0600)}}});
    wanted.push_back(
        {SYS_unlinkat, {{0, Only(kDirectory)}, {1, Only(name)}, {2, Only(0)}}});
  }
  wanted.push_back({SYS_renameat,
                    {{0, Only(kDirectory)},
                     {1, Only(kName + 0x20)},
                     {2, Only(kDirectory)},
                     {3, Only(kName + 0x30)}}});
  for (const long number : {SYS_pwrite64, SYS_fsync, SYS_close}) {
    wanted.push_back({number, {{0, Only(kNew)}}});
  }
  wanted.push_back({SYS_fsync, {{0, Only(kDirectory)}}});
  // KVM_GET_XSAVE, …_XCRS, …_VCPU_EVENTS, …_DEBUGREGS, …_MSRS, …_TSC_KHZ.
  for (const uint64_t request :
       {uint64_t{0x9000aea4}, uint64_t{KVM_GET_XCRS},
        uint64_t{KVM_GET_VCPU_EVENTS}, uint64_t{KVM_GET_DEBUGREGS},
        uint64_t{0xc008ae88}, uint64_t{KVM_GET_TSC_KHZ}}) {
    wanted.push_back({SYS_ioctl, {{0, Only(kVcpu)}, {1, Only(request)}}});
  }
  tender::Bindings bindings = tender::hvt::BindPolicy(devices, kEpoll, kVcpu);
  bindings.Have(Situation::kSnapshot)
      .Set(Slot::kSnapshotDirectoryFd, kDirectory)
      .Set(Slot::kSnapshotFd, kNew)
      .Set(Slot::kMemoryName0, kName)
      .Set(Slot::kMemoryName1, kName + 0x10)
      .Set(Slot::kNewMachineName, kName + 0x20)
      .Set(Slot::kMachineName, kName + 0x30);
  Check(wanted, bindings);

  // Where the directory comes by a socket.
  wanted.push_back({SYS_recvmsg, {{0, Only(kGdb)}, {2, Only(0x40000040)}}});
  for (const uint64_t from : {uint64_t{kNew}, uint64_t{kGdb}}) {
    wanted.push_back({SYS_dup3,
                      {{0, Only(from)},
                       {1, Only(kDirectory)},
                       {2, Only(uint64_t{O_CLOEXEC})}}});
  }
  bindings.Have(Situation::kSnapshotInbox).Set(Slot::kSnapshotInboxFd, kGdb);
  Check(wanted, bindings);
}

}  // namespace
}  // namespace serai::testing
