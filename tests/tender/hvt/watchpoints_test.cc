// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/watchpoints.h"

#include <vector>

#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

constexpr uint64_t kData = solo5::kMinLoadAddress;
constexpr uint64_t kSize = kData + solo5::kPageSize;

class WatchpointsTest : public ::testing::Test {
 protected:
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kSize);
  GuestMemory memory_{bytes_.data(), kSize, {}};
  Watchpoints watchpoints_{&memory_};
};

TEST_F(WatchpointsTest, TellOfAChangeOnce) {
  bytes_[kData + 8] = 7;
  ASSERT_TRUE(watchpoints_.Insert(kData + 8, 8));
  EXPECT_FALSE(watchpoints_.TakeChange().has_value());
  bytes_[kData + 7] = 1;
  bytes_[kData + 16] = 1;
  EXPECT_FALSE(watchpoints_.TakeChange().has_value());
  bytes_[kData + 15] = 1;
  EXPECT_EQ(watchpoints_.TakeChange(), kData + 8);
  EXPECT_FALSE(watchpoints_.TakeChange().has_value());
}

TEST_F(WatchpointsTest, AreRemovedOneByOne) {
  ASSERT_TRUE(watchpoints_.Insert(kData, 4));
  ASSERT_TRUE(watchpoints_.Insert(kData, 8));
  watchpoints_.Remove(kData, 4);
  watchpoints_.Remove(kData, 2);
  EXPECT_FALSE(watchpoints_.IsEmpty());
  bytes_[kData] = 1;
  EXPECT_EQ(watchpoints_.TakeChange(), kData);
  watchpoints_.Remove(kData, 8);
  EXPECT_TRUE(watchpoints_.IsEmpty());
}

TEST_F(WatchpointsTest, NeedMemoryAndRoom) {
  EXPECT_FALSE(watchpoints_.Insert(0, 4));
  EXPECT_FALSE(watchpoints_.Insert(kSize - 3, 4));
  EXPECT_FALSE(watchpoints_.Insert(~uint64_t{0}, 4));
  EXPECT_FALSE(watchpoints_.Insert(kData, 0));
  EXPECT_FALSE(watchpoints_.Insert(kData, 65));
  for (uint64_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(watchpoints_.Insert(kSize - 64, 64));
  }
  EXPECT_FALSE(watchpoints_.Insert(kData, 1));
  watchpoints_.RemoveAll();
  EXPECT_TRUE(watchpoints_.Insert(kData, 1));
}

}  // namespace
}  // namespace serai::tender::hvt
