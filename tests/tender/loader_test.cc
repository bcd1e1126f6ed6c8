// SPDX-License-Identifier: Apache-2.0
#include "tender/loader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/lib/solo5/elf_image.h"

namespace serai::tender {
namespace {

using serai::testing::ElfImage;
using serai::testing::FileWith;
using solo5::Segment;

constexpr uint64_t kMemory = 4 << 20;

int Protection(const Segment& segment) {
  return segment.writable ? PROT_READ | PROT_WRITE : PROT_READ;
}

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest()
      : base_(static_cast<uint8_t*>(
            ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  ~LoaderTest() override { ::munmap(base_, kMemory); }

  void Load(const std::string& file) {
    const UniqueFd fd = FileWith(file);
    solo5::Error error;
    ASSERT_TRUE(solo5::ReadUnikernel(fd.get(), &unikernel_, &error))
        << error.message;
    LoadSegments(fd.get(), unikernel_, base_, Protection);
  }

  std::string At(uint64_t address, size_t size) const {
    return std::string(reinterpret_cast<const char*>(base_ + address), size);
  }

  uint8_t* base_;
  solo5::Unikernel unikernel_;
};

ElfImage ImageOf(std::string text, std::string data, uint64_t data_memory) {
  ElfImage image;
  image.loads = {{0x100000, PF_X, std::move(text)},
                 {0x110000, PF_R | PF_W, std::move(data), data_memory}};
  return image;
}

TEST_F(LoaderTest, PutsContentsWhereTheyBelong) {
  const std::string text =
      std::string(4096, 'a') + std::string(4096, 'b') + std::string(100, 'c');
  const std::string data = std::string(4096, 'd') + std::string(50, 'e');
  Load(ImageOf(text, data, 3 * 4096).Build());
  EXPECT_EQ(At(0x100000, text.size()), text);
  EXPECT_EQ(At(0x110000, data.size()), data);
}

TEST_F(LoaderTest, ZeroesWhatFollowsWritableData) {
  // The file goes on behind the data, in the same page.
  const std::string data(50, 'e');
  Load(ImageOf(std::string(100, 'a'), data, 0).Build() +
       std::string(9000, 'X'));
  EXPECT_EQ(At(0x110000, 4096), data + std::string(4046, '\0'));
}

TEST_F(LoaderTest, ZeroesTheTailOfReadOnlyData) {
  ElfImage image = ImageOf(std::string(100, 'a'), std::string(50, 'e'), 200);
  image.loads[1].flags = PF_R;
  Load(image.Build() + std::string(9000, 'X'));
  EXPECT_EQ(At(0x110000, 200), std::string(50, 'e') + std::string(150, '\0'));
}

TEST_F(LoaderTest, KeepsWritesOutOfTheFile) {
  const UniqueFd file = FileWith(
      ImageOf(std::string(100, 'a'), std::string(8192, 'd'), 0).Build());
  solo5::Error error;
  ASSERT_TRUE(solo5::ReadUnikernel(file.get(), &unikernel_, &error));
  LoadSegments(file.get(), unikernel_, base_, Protection);
  base_[0x110000] = 'Z';
  char byte = 0;
  ASSERT_EQ(::pread(file.get(), &byte, 1,
                    static_cast<off_t>(unikernel_.segments[1].file_offset)),
            1);
  EXPECT_EQ(byte, 'd');
}

// A linker that was not told of page sizes puts contents anywhere in the file.
TEST_F(LoaderTest, ReadsWhatCannotBeMapped) {
  const UniqueFd file = FileWith(
      ImageOf(std::string(5000, 'a'), std::string(50, 'e'), 0).Build());
  solo5::Error error;
  ASSERT_TRUE(solo5::ReadUnikernel(file.get(), &unikernel_, &error));
  unikernel_.segments[0].file_offset += 10;
  unikernel_.segments[0].file_size -= 10;
  unikernel_.segments[1].address += 16;
  LoadSegments(file.get(), unikernel_, base_, Protection);
  EXPECT_EQ(At(0x100000, 4990), std::string(4990, 'a'));
  EXPECT_EQ(At(0x110000, 66), std::string(16, '\0') + std::string(50, 'e'));
}

// One character for each page of [address, address + size): the rights that
// the kernel lists.
std::string RightsOf(const uint8_t* address, size_t size) {
  std::string rights;
  for (const uint8_t* page = address; page < address + size; page += 4096) {
    // Asking for the write of one byte into it changes nothing.
    int pipe[2];
    if (::pipe(pipe) != 0) return "";
    [[maybe_unused]] const ssize_t n = ::write(pipe[1], page, 1);
    rights += ::read(pipe[0], const_cast<uint8_t*>(page), 1) == 1 ? 'w' : 'r';
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
  return rights;
}

TEST_F(LoaderTest, ProtectsEveryPageOfAReadOnlySegment) {
  ElfImage image =
      ImageOf(std::string(5000, 'a'), std::string(5000, 'e'), 4 * 4096);
  image.loads[1].flags = PF_R;
  Load(image.Build());
  EXPECT_EQ(RightsOf(base_ + 0x100000, 3 * 4096), "rrw");
  EXPECT_EQ(RightsOf(base_ + 0x110000, 5 * 4096), "rrrrw");
}

}  // namespace
}  // namespace serai::tender
