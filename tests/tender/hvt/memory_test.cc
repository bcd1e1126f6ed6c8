// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/memory.h"

#include <vector>

#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

using solo5::Segment;

constexpr uint64_t kSize = 4 << 20;

Segment At(uint64_t address, uint64_t size, bool writable) {
  Segment segment = {};
  segment.address = address;
  segment.file_size = size;
  segment.memory_size = size;
  segment.readable = true;
  segment.writable = writable;
  return segment;
}

class GuestMemoryTest : public ::testing::Test {
 protected:
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kSize);
  std::vector<Segment> segments_ = {At(0x100000, 0x1800, false),
                                    At(0x102000, 0x100, true)};
  GuestMemory memory_{bytes_.data(), kSize, segments_};
};

TEST_F(GuestMemoryTest, EndsWhereItEnds) {
  EXPECT_TRUE(memory_.IsReadable(kSize - 8, 8));
  EXPECT_TRUE(memory_.IsWritable(kSize - 8, 8));
  EXPECT_FALSE(memory_.IsReadable(kSize - 8, 9));
  EXPECT_FALSE(memory_.IsReadable(kSize, 1));
  EXPECT_FALSE(memory_.IsReadable(kSize + 1, 0));
  EXPECT_FALSE(memory_.IsReadable(UINT64_MAX, 1));
  EXPECT_FALSE(memory_.IsReadable(0x200000, UINT64_MAX));
  EXPECT_FALSE(memory_.IsWritable(UINT64_MAX - 7, 8));
}

TEST_F(GuestMemoryTest, StartsWithWhatTheGuestCannotTouch) {
  EXPECT_FALSE(memory_.IsReadable(0, 8));
  EXPECT_FALSE(memory_.IsReadable(0xfff8, 16));
  EXPECT_TRUE(memory_.IsReadable(0x10000, 8));
  EXPECT_FALSE(memory_.IsWritable(0x10000, 8));
  EXPECT_FALSE(memory_.IsWritable(0xffff8, 16));
}

TEST_F(GuestMemoryTest, GuardsReadOnlySegmentsToTheEndOfTheirPages) {
  EXPECT_TRUE(memory_.IsReadable(0x100000, 0x2000));
  EXPECT_FALSE(memory_.IsWritable(0x100000, 1));
  EXPECT_FALSE(memory_.IsWritable(0x101fff, 1));
  EXPECT_FALSE(memory_.IsWritable(0x101ff8, 16));
  EXPECT_TRUE(memory_.IsWritable(0x102000, 0x1000));
}

TEST_F(GuestMemoryTest, CopiesOnlyWhatIsTheGuests) {
  uint64_t value = 7;
  EXPECT_TRUE(memory_.Store(0x102000, value));
  value = 0;
  EXPECT_TRUE(memory_.Load(0x102000, &value));
  EXPECT_EQ(value, 7u);
  EXPECT_FALSE(memory_.Store(0x100000, value));
  EXPECT_FALSE(memory_.Load(kSize - 7, &value));
}

}  // namespace
}  // namespace serai::tender::hvt
