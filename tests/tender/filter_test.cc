// SPDX-License-Identifier: Apache-2.0
#include "tender/filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <thread>

#include "gtest/gtest.h"
#include "tests/tender/bpf_evaluator.h"
#include "tests/tender/policy/test_devices.h"

namespace serai::tender {
namespace {

using policy::Argument;
using policy::kAllow;
using policy::kInstructionPointer;
using policy::kKill;
using policy::kTrap;
using policy::Rule;
using policy::Situation;
using policy::Slot;
using serai::testing::EvaluateFilter;
using serai::testing::EvaluateSystemCall;
using serai::testing::TestDevices;

template <const auto& kRules, uint32_t kOtherwise = kKill>
Filter Make(const Bindings& bindings = Bindings()) {
  return Filter(policy::Compiled<kRules, kOtherwise>::kProgram, bindings);
}

seccomp_data Call(int number) {
  seccomp_data data = {};
  data.nr = number;
  data.arch = AUDIT_ARCH_X86_64;
  return data;
}

constexpr Rule kWideRules[] = {
    {.call = SYS_read,
     .where = {Argument(0) == 0x1'0000'0007, Argument(2) <= 0x2'0000'0010},
     .reason = "equal, at most"},
    {.call = SYS_write,
     .where = {Argument(1) >= 0x2'0000'0010,
               HasNoneOf(Argument(5), 0x4'0000'0002)},
     .reason = "at least, none of"},
};

TEST(FilterTest, ComparesAllBitsOfAnArgument) {
  const Filter filter = Make<kWideRules>();
  const auto read = [&](uint64_t first, uint64_t third) {
    return EvaluateSystemCall(filter.Code(), SYS_read, {first, 0, third});
  };
  EXPECT_EQ(read(0x1'0000'0007, 0), kAllow);
  EXPECT_EQ(read(0x1'0000'0007, 0x2'0000'0010), kAllow);
  EXPECT_EQ(read(0x1'0000'0007, 0x1'ffff'ffff), kAllow);
  EXPECT_EQ(read(0x1'0000'0007, 0x2'0000'0011), kKill);
  EXPECT_EQ(read(0x1'0000'0007, 0x3'0000'0000), kKill);
  EXPECT_EQ(read(0x7, 0), kKill);
  EXPECT_EQ(read(0x2'0000'0007, 0), kKill);
  EXPECT_EQ(read(0x1'0000'0008, 0), kKill);
  const auto write = [&](uint64_t second, uint64_t last) {
    return EvaluateSystemCall(filter.Code(), SYS_write,
                              {0, second, 0, 0, 0, last});
  };
  EXPECT_EQ(write(0x2'0000'0010, 0), kAllow);
  EXPECT_EQ(write(0x3'0000'0000, 0), kAllow);
  EXPECT_EQ(write(UINT64_MAX, 0xb'ffff'fffd), kAllow);
  EXPECT_EQ(write(0x2'0000'000f, 0), kKill);
  EXPECT_EQ(write(0x1'ffff'ffff, 0), kKill);
  EXPECT_EQ(write(0x2'0000'0010, 2), kKill);
  EXPECT_EQ(write(0x2'0000'0010, 0x4'0000'0000), kKill);
}

constexpr Rule kOrderedRules[] = {
    {.call = SYS_read,
     .where = {Argument(0) == 1, Argument(1) == 5},
     .verdict = policy::FailWith(EROFS),
     .reason = "first"},
    {.call = SYS_read, .where = {Argument(0) == 1}, .reason = "second"},
    {.call = SYS_write, .reason = "between"},
    {.call = SYS_read,
     .where = {Argument(0) == 2},
     .verdict = kTrap,
     .reason = "third"},
};

TEST(FilterTest, LetsTheFirstRuleThatHoldsDecide) {
  const Filter filter = Make<kOrderedRules>();
  const auto read = [&](uint64_t first, uint64_t second) {
    return EvaluateSystemCall(filter.Code(), SYS_read, {first, second});
  };
  EXPECT_EQ(read(1, 5), SECCOMP_RET_ERRNO | EROFS);
  EXPECT_EQ(read(1, 6), kAllow);
  EXPECT_EQ(read(2, 5), kTrap);
  EXPECT_EQ(read(3, 5), kKill);
  EXPECT_EQ(EvaluateSystemCall(filter.Code(), SYS_write, {9}), kAllow);
}

TEST(FilterTest, DoesWithTheRestWhatThePolicySays) {
  const Filter filter = Make<kOrderedRules, kTrap>();
  EXPECT_EQ(EvaluateSystemCall(filter.Code(), SYS_read, {3}), kTrap);
  EXPECT_EQ(EvaluateSystemCall(filter.Code(), SYS_read, {uint64_t{1} << 32}),
            kTrap);
  EXPECT_EQ(EvaluateSystemCall(filter.Code(), SYS_openat, {}), kTrap);
}

TEST(FilterTest, KillsForeignSystemCallsWhateverThePolicySays) {
  const Filter filter = Make<kOrderedRules, kTrap>();
  seccomp_data data = Call(SYS_write);
  EXPECT_EQ(EvaluateFilter(filter.Code(), data), kAllow);
  data.nr |= 0x40000000;  // the same call of the x32 ABI
  EXPECT_EQ(EvaluateFilter(filter.Code(), data), kKill);
  data.nr = -1;
  EXPECT_EQ(EvaluateFilter(filter.Code(), data), kKill);
  data = Call(SYS_write);
  data.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(EvaluateFilter(filter.Code(), data), kKill);
}

constexpr Rule kPlaceRules[] = {
    {.call = SYS_write,
     .where = {kInstructionPointer >= 0x7f00'0000'1000,
               kInstructionPointer <= 0x7f00'0000'1fff},
     .reason = "from one page only"},
};

TEST(FilterTest, ChecksWhereACallComesFrom) {
  const Filter filter = Make<kPlaceRules>();
  const auto from = [&](uint64_t address) {
    seccomp_data data = Call(SYS_write);
    data.instruction_pointer = address;
    return EvaluateFilter(filter.Code(), data);
  };
  EXPECT_EQ(from(0x7f00'0000'1000), kAllow);
  EXPECT_EQ(from(0x7f00'0000'1fff), kAllow);
  EXPECT_EQ(from(0x7f00'0000'0fff), kKill);
  EXPECT_EQ(from(0x7f00'0000'2000), kKill);
  EXPECT_EQ(from(0x1000), kKill);
}

constexpr Rule kSlotRules[] = {
    {.call = SYS_write,
     .situation = Situation::kStatus,
     .where = {Argument(0) == Slot::kStatusFd},
     .reason = "where there is one"},
    {.call = SYS_pread64,
     .situation = Situation::kBlockDevice,
     .where = {Argument(0) == Slot::kDeviceFd, Argument(2) == Slot::kBlockSize,
               Argument(3) <= Slot::kLastBlock},
     .reason = "for each"},
};

TEST(FilterTest, TakesRulesAsOftenAsTheyAreWanted) {
  const DeviceTable devices = TestDevices();
  Bindings bindings(devices);
  const auto write = [&](uint64_t fd) {
    return EvaluateSystemCall(Make<kSlotRules>(bindings).Code(), SYS_write,
                              {fd});
  };
  const auto pread = [&](uint64_t fd, uint64_t offset) {
    return EvaluateSystemCall(Make<kSlotRules>(bindings).Code(), SYS_pread64,
                              {fd, 0, serai::testing::kBlockSize, offset});
  };
  EXPECT_EQ(write(0), kKill);
  EXPECT_EQ(write(9), kKill);
  bindings.Have(Situation::kStatus).Set(Slot::kStatusFd, 9);
  EXPECT_EQ(write(9), kAllow);
  EXPECT_EQ(pread(serai::testing::kDiskFd, 0), kAllow);
  EXPECT_EQ(pread(serai::testing::kReadOnlyDiskFd, 0), kAllow);
  EXPECT_EQ(pread(serai::testing::kNetFd, 0), kKill);
  const uint64_t last = serai::testing::kCapacity - serai::testing::kBlockSize;
  EXPECT_EQ(pread(serai::testing::kDiskFd, last), kAllow);
  EXPECT_EQ(pread(serai::testing::kDiskFd, last + 1), kKill);
}

TEST(FilterDeathTest, EndsWhereANumberIsMissing) {
  Bindings bindings;
  bindings.Have(Situation::kStatus);
  EXPECT_EXIT(Make<kSlotRules>(bindings), ::testing::ExitedWithCode(1),
              "bug: policy slot");
}

// Of this thread alone, as Filter has it not.
void InstallEmptyFilter() {
  sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog program = {1, code};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

TEST(FilterDeathTest, EndsWhereAThreadHasAnother) {
  const auto install = [] {
    std::promise<void> installed;
    std::thread other([&installed] {
      InstallEmptyFilter();
      installed.set_value();
      for (;;) ::pause();
    });
    installed.get_future().wait();
    Make<kOrderedRules>().Install();
  };
  EXPECT_EXIT(install(), ::testing::ExitedWithCode(1),
              "seccomp: thread [0-9]+ has a filter of its own");
}

}  // namespace
}  // namespace serai::tender
