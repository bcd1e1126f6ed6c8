// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace serai::tender::hvt {
namespace {

constexpr uint64_t kPage = solo5::kPageSize;
constexpr uint64_t kSize = 16 << 20;

std::vector<std::pair<uint64_t, uint64_t>> Ranges(const ExtentList& list) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const SnapshotRange& range : list.ranges()) {
    ranges.emplace_back(range.address, range.size);
  }
  return ranges;
}

TEST(ExtentListTest, MergesWhatIsClose) {
  ExtentList list;
  list.Add(0, kPage);
  list.Add(kPage, kPage);
  list.Add(18 * kPage, kPage);
  list.Add(36 * kPage, 2 * kPage);
  EXPECT_EQ(Ranges(list), (std::vector<std::pair<uint64_t, uint64_t>>{
                              {0, 19 * kPage}, {36 * kPage, 2 * kPage}}));
}

TEST(ExtentListTest, MergesTheClosestWhereThereAreTooMany) {
  ExtentList list;
  for (uint64_t i = 0; i < 1000; ++i) {
    list.Add(i * 100 * kPage + (i == 500 ? 50 * kPage : 0), kPage);
  }
  ASSERT_EQ(list.ranges().size(), kMaxExtents);
  uint64_t end = 0;
  for (const SnapshotRange& range : list.ranges()) {
    EXPECT_GE(range.address, end);
    end = range.End();
  }
  EXPECT_EQ(list.ranges()[0].address, 0u);
  EXPECT_EQ(end, 999 * 100 * kPage + kPage);
}

class MemoryWriterTest : public ::testing::Test {
 protected:
  MemoryWriterTest()
      : memory_(static_cast<uint8_t*>(
            ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
        file_(::open((directory_ / "memory").c_str(),
                     O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
        page_map_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
  ~MemoryWriterTest() override { ::munmap(memory_, kSize); }

  size_t Resident() const {
    std::vector<unsigned char> pages(kSize / kPage);
    EXPECT_EQ(::mincore(memory_, kSize, pages.data()), 0);
    size_t count = 0;
    for (const unsigned char page : pages) count += page & 1;
    return count;
  }
  std::string Read() const {
    std::string bytes(kSize, '\0');
    EXPECT_GE(::pread(file_.get(), bytes.data(), bytes.size(), 0), 0);
    return bytes;
  }
  std::string Memory() const {
    return {reinterpret_cast<const char*>(memory_), kSize};
  }

  const testing::TempDir directory_;
  uint8_t* memory_;
  UniqueFd file_;
  UniqueFd page_map_;
  ExtentList extents_;
};

TEST_F(MemoryWriterTest, WritesOnlyWhatIsNotZeroAndTouchesNothing) {
  memory_[0x1000] = 1;
  std::memset(memory_ + 0x200000, 2, 3 * kPage);
  memory_[0x400000] = 0;  // touched, and yet zero
  memory_[kSize - 1] = 3;
  const size_t before = Resident();
  const MemoryWriter writer(memory_, kSize, page_map_.get());
  EXPECT_EQ(writer.Write(file_.get(), &extents_),
            static_cast<int64_t>(5 * kPage));
  EXPECT_EQ(Resident(), before);
  EXPECT_EQ(
      Ranges(extents_),
      (std::vector<std::pair<uint64_t, uint64_t>>{
          {0x1000, kPage}, {0x200000, 3 * kPage}, {kSize - kPage, kPage}}));
  struct stat status;
  ASSERT_EQ(::fstat(file_.get(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, static_cast<int64_t>(16 * kPage));
  EXPECT_TRUE(Read() == Memory());
}

TEST_F(MemoryWriterTest, LooksAtEveryPageWithoutAPageMap) {
  memory_[0x5000] = 1;
  memory_[0x705000] = 1;
  const MemoryWriter writer(memory_, kSize, -1);
  EXPECT_EQ(writer.Write(file_.get(), &extents_),
            static_cast<int64_t>(2 * kPage));
  ASSERT_EQ(::ftruncate(file_.get(), kSize), 0);
  EXPECT_TRUE(Read() == Memory());
}

TEST_F(MemoryWriterTest, LooksIntoFilesThatNobodyHasTouched) {
  const UniqueFd source(::open((directory_ / "source").c_str(),
                               O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const std::string text(kPage, 'x');
  ASSERT_EQ(::pwrite(source.get(), text.data(), kPage, kPage),
            static_cast<ssize_t>(kPage));
  const SnapshotRange range = {0x300000, 2 * kPage};
  ASSERT_NE(::mmap(memory_ + range.address, range.size, PROT_READ,
                   MAP_PRIVATE | MAP_FIXED, source.get(), 0),
            MAP_FAILED);
  MemoryWriter writer(memory_, kSize, page_map_.get());
  writer.AddFile(range);
  EXPECT_EQ(writer.Write(file_.get(), &extents_), static_cast<int64_t>(kPage));
  ASSERT_EQ(::ftruncate(file_.get(), kSize), 0);
  EXPECT_TRUE(Read() == Memory());
}

TEST_F(MemoryWriterTest, LeavesOutWhatNobodyCanRead) {
  std::memset(memory_ + 0x300000, 1, 2 * kPage);
  ASSERT_EQ(::mprotect(memory_ + 0x300000, kPage, PROT_NONE), 0);
  MemoryWriter writer(memory_, kSize, page_map_.get());
  writer.AddInaccessible({0x300000, kPage});
  EXPECT_EQ(writer.Write(file_.get(), &extents_), static_cast<int64_t>(kPage));
  EXPECT_EQ(
      Ranges(extents_),
      (std::vector<std::pair<uint64_t, uint64_t>>{{0x300000 + kPage, kPage}}));
}

TEST_F(MemoryWriterTest, SaysWhenTheDiskIsFull) {
  memory_[0x5000] = 1;
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const MemoryWriter writer(memory_, kSize, page_map_.get());
  EXPECT_EQ(writer.Write(full.get(), &extents_), -1);
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace serai::tender::hvt
