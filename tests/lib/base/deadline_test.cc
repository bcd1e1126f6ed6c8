// SPDX-License-Identifier: Apache-2.0
#include "lib/base/deadline.h"

#include <limits>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "lib/base/event.h"

namespace serai {
namespace {

TEST(DeadlineTest, TellsWhatIsLeftAndRoundsUpForPoll) {
  const Deadline deadline(absl::Hours(1));
  EXPECT_FALSE(deadline.Passed());
  EXPECT_LE(deadline.Left(), absl::Hours(1));
  EXPECT_GT(deadline.Left(), absl::Minutes(50));
  EXPECT_LE(deadline.PollTimeout(), 3'600'000);
  const Deadline soon(absl::Microseconds(300));
  EXPECT_LE(soon.PollTimeout(), 1);
  absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(soon.Passed());
  EXPECT_EQ(soon.PollTimeout(), 0);
}

TEST(DeadlineTest, TakesTimesThatNeverCome) {
  const Deadline never(absl::InfiniteDuration());
  EXPECT_FALSE(never.Passed());
  EXPECT_EQ(never.PollTimeout(), std::numeric_limits<int>::max());
  EXPECT_TRUE(Deadline(-absl::InfiniteDuration()).Passed());
  EXPECT_TRUE(Deadline(absl::Seconds(-1)).Passed());
}

TEST(EventTest, HappensOnceForEveryoneWhoWaits) {
  Event event;
  EXPECT_FALSE(event.HasBeenNotified());
  EXPECT_FALSE(event.WaitForNotificationWithTimeout(absl::Milliseconds(5)));
  EXPECT_FALSE(event.WaitForNotificationWithTimeout(absl::Seconds(-1)));
  std::thread one([&] { event.WaitForNotification(); });
  std::thread other([&] {
    EXPECT_TRUE(event.WaitForNotificationWithTimeout(absl::InfiniteDuration()));
  });
  event.Notify();
  event.Notify();
  one.join();
  other.join();
  EXPECT_TRUE(event.HasBeenNotified());
}

}  // namespace
}  // namespace serai
