// SPDX-License-Identifier: Apache-2.0
#include "cri/container/resources.h"

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using runtime::v1::LinuxContainerResources;
using ::serai::testing::HasStatus;

constexpr uint64_t kGuest = 64 << 20;

TEST(ResourcesTest, WhatAnUpdateDoesNotNameStays) {
  LinuxContainerResources resources;
  resources.set_cpu_quota(20000);
  resources.set_cpu_shares(100);
  resources.set_memory_limit_in_bytes(kGuest);
  resources.set_oom_score_adj(7);
  LinuxContainerResources update;
  update.set_cpu_quota(50000);
  update.set_cpu_period(200000);
  update.set_cpuset_cpus("0");
  update.set_oom_score_adj(9);
  MergeResources(update, resources);
  EXPECT_EQ(resources.cpu_quota(), 50000);
  EXPECT_EQ(resources.cpu_period(), 200000);
  EXPECT_EQ(resources.cpu_shares(), 100);
  EXPECT_EQ(resources.cpuset_cpus(), "0");
  EXPECT_EQ(resources.memory_limit_in_bytes(), int64_t{kGuest});
  // A running tender's stays what it is.
  EXPECT_EQ(resources.oom_score_adj(), 7);
}

TEST(ResourcesTest, AGuestsMemoryIsTheLeastItsLimitCanBe) {
  HandlerConfig handler;
  handler.overhead_memory = 10 << 20;
  LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(kGuest - 1);
  EXPECT_THAT(
      RunningLimits(resources, kGuest, handler),
      HasStatus(absl::StatusCode::kInvalidArgument,
                "started with 64Mi, so its limit can't become 67108863 bytes"));
  resources.set_memory_limit_in_bytes(kGuest);
  ASSERT_OK_AND_ASSIGN(auto limits, RunningLimits(resources, kGuest, handler));
  EXPECT_EQ(limits.memory_bytes, 74 << 20);
  resources.set_memory_limit_in_bytes(2 * kGuest);
  ASSERT_OK_AND_ASSIGN(limits, RunningLimits(resources, kGuest, handler));
  EXPECT_EQ(limits.memory_bytes, 138 << 20);
  resources.set_memory_limit_in_bytes(0);
  ASSERT_OK_AND_ASSIGN(limits, RunningLimits(resources, kGuest, handler));
  EXPECT_EQ(limits.memory_bytes, 74 << 20);
}

TEST(ResourcesTest, CpuTimeIsUnlimitedUnlessItIsLimited) {
  LinuxContainerResources resources;
  ASSERT_OK_AND_ASSIGN(auto limits, RunningLimits(resources, kGuest, {}));
  EXPECT_EQ(limits.cpu_quota_us, -1);
  EXPECT_EQ(limits.cpu_period_us, 100000u);
  EXPECT_EQ(limits.cpu_shares, std::nullopt);
  resources.set_cpu_quota(30000);
  resources.set_cpu_period(50000);
  resources.set_cpu_shares(512);
  ASSERT_OK_AND_ASSIGN(limits, RunningLimits(resources, kGuest, {}));
  EXPECT_EQ(limits.cpu_quota_us, 30000);
  EXPECT_EQ(limits.cpu_period_us, 50000u);
  EXPECT_EQ(limits.cpu_shares, 512u);
}

}  // namespace
}  // namespace serai::cri
