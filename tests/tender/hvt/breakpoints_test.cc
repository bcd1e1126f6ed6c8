// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/breakpoints.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

using solo5::kMinLoadAddress;
using solo5::kPageSize;
using solo5::Segment;
using ::testing::ElementsAre;

constexpr uint64_t kText = kMinLoadAddress;
constexpr uint64_t kHidden = kText + kPageSize;
constexpr uint64_t kSize = kHidden + 2 * kPageSize;

// A page of text, one that the guest has no rights to, one of data.
constexpr Segment kSegments[] = {
    {0, kText, kPageSize, kPageSize, true, false, true},
    {0, kHidden, kPageSize, kPageSize, false, false, false}};

class BreakpointsTest : public ::testing::Test {
 protected:
  BreakpointsTest() {
    bytes_[kText] = 0x55;
    bytes_[kText + 1] = 0x90;
  }

  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kSize);
  GuestMemory memory_{bytes_.data(), kSize, kSegments};
  Breakpoints breakpoints_{&memory_, 0xcc};
};

TEST_F(BreakpointsTest, AreSeenByTheGuestOnly) {
  ASSERT_TRUE(breakpoints_.Insert(kText));
  EXPECT_EQ(bytes_[kText], 0xcc);
  EXPECT_TRUE(breakpoints_.IsAt(kText));
  EXPECT_FALSE(breakpoints_.IsAt(kText + 1));
  uint8_t seen[2];
  ASSERT_TRUE(breakpoints_.Read(kText, seen));
  EXPECT_THAT(seen, ElementsAre(0x55, 0x90));
  breakpoints_.Remove(kText);
  EXPECT_EQ(bytes_[kText], 0x55);
}

TEST_F(BreakpointsTest, AreOneWhereTheyWereSetTwice) {
  ASSERT_TRUE(breakpoints_.Insert(kText));
  ASSERT_TRUE(breakpoints_.Insert(kText));
  breakpoints_.Remove(kText);
  EXPECT_EQ(bytes_[kText], 0x55);
  breakpoints_.Remove(kText);
  EXPECT_EQ(bytes_[kText], 0x55);
}

TEST_F(BreakpointsTest, StayWhereSomethingIsWritten) {
  ASSERT_TRUE(breakpoints_.Insert(kText + 1));
  const uint8_t written[] = {1, 2, 3};
  ASSERT_TRUE(breakpoints_.Write(kText, written));
  EXPECT_EQ(bytes_[kText], 1);
  EXPECT_EQ(bytes_[kText + 1], 0xcc);
  breakpoints_.RemoveAll();
  EXPECT_EQ(bytes_[kText + 1], 2);
  EXPECT_FALSE(breakpoints_.IsAt(kText + 1));
}

TEST_F(BreakpointsTest, AreHiddenAndShown) {
  ASSERT_TRUE(breakpoints_.Insert(kText));
  breakpoints_.Hide();
  EXPECT_EQ(bytes_[kText], 0x55);
  breakpoints_.Show();
  EXPECT_EQ(bytes_[kText], 0xcc);
}

TEST_F(BreakpointsTest, NeedMemory) {
  EXPECT_FALSE(breakpoints_.Insert(0));
  EXPECT_FALSE(breakpoints_.Insert(kHidden));
  EXPECT_FALSE(breakpoints_.Insert(kSize));
  EXPECT_FALSE(breakpoints_.Insert(~uint64_t{0}));
  uint8_t bytes[2] = {};
  EXPECT_FALSE(breakpoints_.Read(kHidden - 1, bytes));
  EXPECT_FALSE(breakpoints_.Write(kSize - 1, bytes));
  EXPECT_TRUE(breakpoints_.Write(kSize - 2, bytes));
}

TEST_F(BreakpointsTest, AreLimited) {
  uint64_t count = 0;
  while (count < kPageSize && breakpoints_.Insert(kText + count)) ++count;
  EXPECT_EQ(count, 256u);
  breakpoints_.Remove(kText);
  EXPECT_TRUE(breakpoints_.Insert(kText + count));
  breakpoints_.RemoveAll();
  EXPECT_EQ(bytes_[kText], 0x55);
  EXPECT_EQ(bytes_[kText + 2], 0);
}

}  // namespace
}  // namespace serai::tender::hvt
