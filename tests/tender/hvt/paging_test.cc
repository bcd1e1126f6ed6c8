// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/paging.h"

#include <cstring>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tender/hvt/layout.h"
#include "tender/hvt/stub.h"

namespace serai::tender::hvt {
namespace {

using solo5::Segment;

Segment At(uint64_t address, uint64_t size, const char* rights) {
  Segment segment = {};
  segment.address = address;
  segment.file_size = size;
  segment.memory_size = size;
  segment.readable = std::strchr(rights, 'r') != nullptr;
  segment.writable = std::strchr(rights, 'w') != nullptr;
  segment.executable = std::strchr(rights, 'x') != nullptr;
  return segment;
}

struct Translation {
  uint64_t physical = 0;
  bool user = true;
  bool writable = true;
  bool executable = true;
};

class PagingTest : public ::testing::Test {
 protected:
  void Build(uint64_t memory, const std::vector<Segment>& segments,
             bool executable_heap = false) {
    BuildPageTables(system_.data(), memory, segments, executable_heap);
  }

  // Walks the tables as the processor does.
  std::optional<Translation> Translate(uint64_t address) const {
    Translation result;
    uint64_t table = SystemAddress(kPml4Page);
    for (int shift = 39; shift >= 12; shift -= 9) {
      const uint64_t index = address >> shift & 511;
      uint64_t entry = 0;
      std::memcpy(&entry, system_.data() + (table - kSystemBase) + index * 8,
                  sizeof(entry));
      if ((entry & kPresent) == 0) return std::nullopt;
      result.user = result.user && (entry & kUser) != 0;
      result.writable = result.writable && (entry & kWritable) != 0;
      result.executable = result.executable && (entry & kNoExecute) == 0;
      table = entry & kAddressMask;
      if (shift == 12 || (entry & kLarge) != 0) {
        result.physical = table | (address & ((uint64_t{1} << shift) - 1));
        break;
      }
    }
    return result;
  }

  // "rwx" with "-" for what the guest may not do; "" where it may do nothing.
  std::string GuestRights(uint64_t address) const {
    const auto translation = Translate(address);
    if (!translation || !translation->user) return "";
    EXPECT_EQ(translation->physical, address);
    return std::string("r") + (translation->writable ? "w" : "-") +
           (translation->executable ? "x" : "-");
  }

  std::vector<uint8_t> system_ = std::vector<uint8_t>(kSystemSize);
};

TEST_F(PagingTest, MapsSegmentsAsTheirFlagsSay) {
  Build(uint64_t{32} << 20, {At(0x100000, 0x1800, "x"), At(0x102000, 0x10, "r"),
                             At(0x103000, 0x1000, "rw"), At(0x104000, 1, "")});
  EXPECT_EQ(GuestRights(0x100000), "r-x");
  EXPECT_EQ(GuestRights(0x101fff), "r-x");
  EXPECT_EQ(GuestRights(0x102000), "r--");
  EXPECT_EQ(GuestRights(0x103000), "rw-");
  EXPECT_EQ(GuestRights(0x104000), "");
  EXPECT_EQ(GuestRights(0x105000), "rw-");
  EXPECT_EQ(GuestRights(0x1000000), "rw-");
}

TEST_F(PagingTest, KeepsTheFirstMebibyteFromTheGuest) {
  Build(uint64_t{2} << 20, {At(0x100000, 0x1000, "x")});
  EXPECT_EQ(GuestRights(0), "");
  EXPECT_EQ(GuestRights(0xffff), "");
  EXPECT_EQ(GuestRights(0x10000), "r--");
  EXPECT_EQ(GuestRights(0xfffff), "r--");
}

TEST_F(PagingTest, EndsWithTheGuestsMemory) {
  Build(uint64_t{6} << 20, {At(0x100000, 0x1000, "x")});
  EXPECT_EQ(GuestRights((6 << 20) - 1), "rw-");
  EXPECT_EQ(GuestRights(6 << 20), "");
  EXPECT_EQ(GuestRights(uint64_t{1} << 30), "");
}

TEST_F(PagingTest, MapsFourGibibytes) {
  Build(solo5::kHvtMaxMemory, {At(0x100000, 0x1000, "x")});
  EXPECT_EQ(GuestRights(solo5::kHvtMaxMemory - 1), "rw-");
  EXPECT_EQ(GuestRights(solo5::kHvtMaxMemory), "");
}

TEST_F(PagingTest, SplitsLargePagesWhereRightsChange) {
  // Text from 1 to 7 MiB, with a boundary inside a large page on both ends,
  // and large pages of text between.
  Build(uint64_t{32} << 20, {At(0x100000, (6 << 20) + 0x1000, "x")});
  for (const uint64_t mebibyte : {1u, 2u, 3u, 4u, 5u, 6u}) {
    EXPECT_EQ(GuestRights(mebibyte << 20), "r-x") << mebibyte;
  }
  EXPECT_EQ(GuestRights(0x700fff), "r-x");
  EXPECT_EQ(GuestRights(0x701000), "rw-");
  EXPECT_EQ(GuestRights(0x800000), "rw-");
}

TEST_F(PagingTest, HasRoomForTheMostScatteredSegments) {
  std::vector<Segment> segments;
  for (uint64_t i = 0; i < solo5::kMaxSegments; ++i) {
    // Each begins and ends in a large page of its own.
    segments.push_back(At((i * 4 + 3) * solo5::kHvtLargePage + 0x1000,
                          solo5::kHvtLargePage, "r"));
  }
  Build(uint64_t{512} << 20, segments);
  EXPECT_EQ(GuestRights(segments.back().address), "r--");
  EXPECT_EQ(GuestRights(segments.back().PageEnd()), "rw-");
}

TEST_F(PagingTest, MakesTheHeapExecutableOnRequestOnly) {
  Build(uint64_t{4} << 20, {At(0x100000, 0x1000, "rw")}, true);
  EXPECT_EQ(GuestRights(0x100000), "rw-");
  EXPECT_EQ(GuestRights(0x200000), "rwx");
}

TEST_F(PagingTest, HidesTheSystemAreaFromTheGuest) {
  Build(uint64_t{4} << 20, {At(0x100000, 0x1000, "x")});
  for (uint64_t page = 0; page < kSystemPages; ++page) {
    EXPECT_EQ(GuestRights(SystemAddress(page)), "");
    EXPECT_EQ(Translate(SystemAddress(page)).has_value(), page < kMappedPages);
  }
  const auto stub = Translate(kStubAddress);
  EXPECT_TRUE(stub->executable && !stub->writable);
  const auto stack = Translate(kStackTop - 8);
  EXPECT_TRUE(stack->writable && !stack->executable);
  EXPECT_EQ(stack->physical, kStackTop - 8);
}

TEST(StubTest, FindsTheVectorFromBothSidesOfTheOut) {
  for (uint8_t vector = 0; vector < kVectors; ++vector) {
    const uint64_t stub = kStubAddress + vector * kStubSize;
    EXPECT_EQ(VectorAt(stub), vector);
    EXPECT_EQ(VectorAt(stub + 2), vector);
  }
  EXPECT_EQ(VectorAt(kStubAddress - 1), std::nullopt);
  EXPECT_EQ(VectorAt(kStubAddress + kVectors * kStubSize), std::nullopt);
}

TEST(StubTest, ReadsFramesWithAndWithoutErrorCode) {
  std::vector<uint8_t> system(kSystemSize);
  BuildStub(system.data());
  const TrapFrame pushed = {11, 22, 33, 44, 55, 66};
  std::memcpy(system.data() + (kStackTop - kSystemBase) - sizeof(pushed),
              &pushed, sizeof(pushed));
  const TrapFrame fault = ReadTrapFrame(system.data(), 14);
  EXPECT_EQ(fault.error, 11u);
  EXPECT_EQ(fault.rip, 22u);
  EXPECT_EQ(fault.ss, 66u);
  EXPECT_EQ(ReadTrapFrame(system.data(), 6).error, 0u);
}

}  // namespace
}  // namespace serai::tender::hvt
