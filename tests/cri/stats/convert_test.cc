// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/convert.h"

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

namespace v1 = runtime::v1;

TEST(StatsConvertTest, MemoryTellsWhatIsLeftOfTheLimit) {
  host::CgroupUsage usage;
  usage.working_set_bytes = 100;
  usage.memory_limit_bytes = 150;
  EXPECT_EQ(ToMemoryUsage(usage, 9).available_bytes().value(), 50u);
  EXPECT_EQ(ToMemoryUsage(usage, 9).timestamp(), 9);
  // A limit lowered below what is used.
  usage.memory_limit_bytes = 60;
  EXPECT_EQ(ToMemoryUsage(usage, 9).available_bytes().value(), 0u);
  usage.memory_limit_bytes.reset();
  EXPECT_FALSE(ToMemoryUsage(usage, 9).has_available_bytes());
}

TEST(StatsConvertTest, SwapIsLimitedByTheGroupAndByTheMachine) {
  host::CgroupUsage usage;
  EXPECT_EQ(ToSwapUsage(usage, 0, 9).swap_available_bytes().value(), 0u);
  usage.swap_bytes = 10;
  EXPECT_EQ(ToSwapUsage(usage, 100, 9).swap_available_bytes().value(), 90u);
  EXPECT_EQ(ToSwapUsage(usage, 100, 9).swap_usage_bytes().value(), 10u);
  usage.swap_limit_bytes = 30;
  EXPECT_EQ(ToSwapUsage(usage, 100, 9).swap_available_bytes().value(), 20u);
}

TEST(StatsConvertTest, WhatTheTapSendsTheGuestReceives) {
  host::LinkCounters tap;
  tap.sent = {1000, 10, 1, 2};
  tap.received = {300, 3, 4, 5};
  const v1::NetworkInterfaceUsage usage = ToInterfaceUsage("eth0", tap);
  EXPECT_EQ(usage.name(), "eth0");
  EXPECT_EQ(usage.rx_bytes().value(), 1000u);
  EXPECT_EQ(usage.rx_errors().value(), 1u);
  EXPECT_EQ(usage.tx_bytes().value(), 300u);
  EXPECT_EQ(usage.tx_errors().value(), 4u);
}

TEST(StatsConvertTest, PressureIsInNanoseconds) {
  const serai::testing::TempDir dir;
  ASSERT_OK(MakeDirs(dir / "pod"));
  ASSERT_OK(
      WriteFileAtomic(dir / "pod/memory.pressure",
                      "some avg10=1.50 avg60=2.00 avg300=0.25 total=7\n"
                      "full avg10=0.50 avg60=0.00 avg300=0.00 total=3\n"));
  ASSERT_OK_AND_ASSIGN(
      const host::Cgroup cgroup,
      host::Cgroup::Open(host::CgroupHierarchy::V2(dir.path()), "/pod"));
  const auto psi = ReadPsi(cgroup, "memory");
  ASSERT_TRUE(psi.has_value());
  EXPECT_EQ(psi->some().total(), 7000u);
  EXPECT_EQ(psi->some().avg10(), 1.5);
  EXPECT_EQ(psi->some().avg300(), 0.25);
  EXPECT_EQ(psi->full().total(), 3000u);
  EXPECT_FALSE(ReadPsi(cgroup, "io").has_value());
}

}  // namespace
}  // namespace serai::cri
