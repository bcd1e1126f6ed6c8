// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/cpu_rate.h"

#include "gtest/gtest.h"

namespace serai::cri {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 1000 * kSecond;

TEST(CpuRateTest, TheFirstRateIsThatSinceTheStart) {
  CpuRate rate;
  // A tenth of a core for ten seconds.
  EXPECT_EQ(rate.Update(kSecond, kStart + 10 * kSecond, kStart), 100'000'000u);
}

TEST(CpuRateTest, LaterOnesAreOfTheTimeBetweenTheCalls) {
  CpuRate rate;
  rate.Update(kSecond, kStart + 10 * kSecond, kStart);
  EXPECT_EQ(rate.Update(3 * kSecond, kStart + 12 * kSecond, kStart),
            uint64_t{kSecond});
  EXPECT_EQ(rate.Update(3 * kSecond, kStart + 22 * kSecond, kStart), 0u);
}

TEST(CpuRateTest, ACallRightAfterAnotherGetsNoRateOfAnInstant) {
  CpuRate rate;
  rate.Update(0, kStart + 10 * kSecond, kStart);
  rate.Update(kSecond, kStart + 20 * kSecond, kStart);
  // A millisecond of CPU within a millisecond: that of the last ten seconds.
  const uint64_t now = rate.Update(kSecond + 1'000'000,
                                   kStart + 20 * kSecond + 1'000'000, kStart);
  EXPECT_GT(now, 99'000'000u);
  EXPECT_LT(now, 101'000'000u);
}

TEST(CpuRateTest, ACountThatGoesBackBeginsAnew) {
  CpuRate rate;
  rate.Update(50 * kSecond, kStart + 100 * kSecond, kStart);
  EXPECT_EQ(rate.Update(kSecond, kStart + 110 * kSecond, kStart), 0u);
  EXPECT_EQ(rate.Update(2 * kSecond, kStart + 120 * kSecond, kStart),
            100'000'000u);
}

TEST(CpuRateTest, AClockThatIsSetBackGivesNoNonsense) {
  CpuRate rate;
  rate.Update(kSecond, kStart + 100 * kSecond, kStart);
  EXPECT_EQ(rate.Update(2 * kSecond, kStart + 10 * kSecond, kStart), 0u);
  EXPECT_EQ(rate.Update(3 * kSecond, kStart + 20 * kSecond, kStart),
            100'000'000u);
}

}  // namespace
}  // namespace serai::cri
