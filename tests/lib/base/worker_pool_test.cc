// SPDX-License-Identifier: Apache-2.0
#include "lib/base/worker_pool.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"
#include "lib/base/event.h"

namespace serai {
namespace {

TEST(WorkerPoolTest, WorkThatWaitsHoldsUpNoOther) {
  WorkerPool pool(3);
  Event go_on;
  std::atomic<int> done = 0;
  pool.Run([&] { go_on.WaitForNotification(); });
  pool.Run([&] { go_on.WaitForNotification(); });
  Event last;
  for (int i = 0; i < 100; ++i) {
    pool.Run([&] {
      if (++done == 100) last.Notify();
    });
  }
  last.WaitForNotification();
  go_on.Notify();
  pool.WaitUntilIdle();
  EXPECT_EQ(done, 100);
}

TEST(WorkerPoolTest, DoesNoMoreThanItMayAtATime) {
  WorkerPool pool(4);
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  for (int i = 0; i < 200; ++i) {
    pool.Run([&] {
      const int here = ++now;
      for (int seen = most;
           seen < here && !most.compare_exchange_weak(seen, here);) {
      }
      --now;
    });
  }
  pool.WaitUntilIdle();
  EXPECT_GE(most, 1);
  EXPECT_LE(most, 4);
}

TEST(WorkerPoolTest, ItsEndWaitsForWhatIsUnderWay) {
  std::atomic<bool> done = false;
  Event begun;
  Event go_on;
  std::thread later;
  {
    WorkerPool pool(1);
    pool.Run([&] {
      begun.Notify();
      go_on.WaitForNotification();
      done = true;
    });
    begun.WaitForNotification();
    later = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      go_on.Notify();
    });
  }
  EXPECT_TRUE(done);
  later.join();
}

TEST(WorkerPoolTest, WorkMayAddWork) {
  WorkerPool pool(1);
  std::atomic<int> done = 0;
  pool.Run([&] {
    pool.Run([&] { ++done; });
    ++done;
  });
  pool.WaitUntilIdle();
  EXPECT_EQ(done, 2);
}

}  // namespace
}  // namespace serai
