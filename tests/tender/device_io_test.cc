// SPDX-License-Identifier: Apache-2.0
#include "tender/device_io.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace serai::tender {
namespace {

using solo5::Result;

constexpr uint64_t kCapacity = 64 * 1024;

class BlockIoTest : public ::testing::Test {
 protected:
  BlockIoTest() : file_(::memfd_create("disk", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(file_.get(), kCapacity), 0);
    device_.kind = Device::Kind::kBlock;
    device_.fd = file_.get();
    device_.block_size = 512;
    device_.capacity = kCapacity;
  }
  Result Read(uint64_t offset, uint64_t size) {
    bytes_.assign(size, 0);
    return ReadBlocks(device_, offset, bytes_.data(), size, &counters_);
  }
  Result Write(uint64_t offset, uint64_t size) {
    bytes_.assign(size, 0x5a);
    return WriteBlocks(device_, offset, bytes_.data(), size, &counters_);
  }

  UniqueFd file_;
  Device device_;
  DeviceCounters counters_;
  std::vector<uint8_t> bytes_;
};

TEST_F(BlockIoTest, ReadsWhatWasWritten) {
  EXPECT_EQ(Write(4096, 8192), Result::kOk);
  EXPECT_EQ(Read(4096, 8192), Result::kOk);
  EXPECT_EQ(bytes_, std::vector<uint8_t>(8192, 0x5a));
  EXPECT_EQ(counters_.writes, 1u);
  EXPECT_EQ(counters_.bytes_written, 8192u);
  EXPECT_EQ(counters_.reads, 1u);
  EXPECT_EQ(counters_.bytes_read, 8192u);
  EXPECT_EQ(counters_.refused, 0u);
}

TEST_F(BlockIoTest, KeepsWithinTheDevice) {
  EXPECT_EQ(Read(kCapacity, 0), Result::kInvalid);
  EXPECT_EQ(Read(kCapacity - 512, 1024), Result::kInvalid);
  EXPECT_EQ(Read(~uint64_t{0}, 512), Result::kInvalid);
  EXPECT_EQ(Write(kCapacity - 512, 1024), Result::kInvalid);
  EXPECT_EQ(Write(uint64_t{1} << 63, 512), Result::kInvalid);
  uint8_t byte = 0;
  EXPECT_EQ(ReadBlocks(device_, 512, &byte, ~uint64_t{0}, &counters_),
            Result::kInvalid);
  EXPECT_EQ(WriteBlocks(device_, 512, &byte, ~uint64_t{0}, &counters_),
            Result::kInvalid);
  EXPECT_EQ(Read(kCapacity - 512, 512), Result::kOk);
  EXPECT_EQ(Read(0, 0), Result::kOk);
  EXPECT_EQ(counters_.refused, 0u);
}

TEST_F(BlockIoTest, FailsWhereTheFileHasShrunk) {
  ASSERT_EQ(::ftruncate(file_.get(), 4096), 0);
  EXPECT_EQ(Read(0, 4096), Result::kOk);
  EXPECT_EQ(Read(2048, 4096), Result::kError);
  EXPECT_EQ(Read(8192, 512), Result::kError);
  EXPECT_EQ(counters_.refused, 2u);
  // A write makes it longer again.
  EXPECT_EQ(Write(8192, 512), Result::kOk);
  EXPECT_EQ(Read(8192, 512), Result::kOk);
}

TEST_F(BlockIoTest, FailsWhereTheHostRefuses) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Result across = Write(2048, 4096);
  const Result beyond = Write(8192, 512);
  const Result below = Write(0, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(across, Result::kError);
  EXPECT_EQ(beyond, Result::kError);
  EXPECT_EQ(below, Result::kOk);
  EXPECT_EQ(counters_.refused, 2u);
}

TEST_F(BlockIoTest, WritesNothingToAReadOnlyDevice) {
  device_.read_only = true;
  EXPECT_EQ(Write(0, 512), Result::kError);
  EXPECT_EQ(counters_.refused, 1u);
  EXPECT_EQ(Read(0, 512), Result::kOk);
  EXPECT_EQ(bytes_, std::vector<uint8_t>(512, 0));
}

class NetIoTest : public ::testing::Test {
 protected:
  NetIoTest() {
    int ends[2];
    EXPECT_EQ(
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                     ends),
        0);
    peer_.reset(ends[0]);
    guest_.reset(ends[1]);
    device_.kind = Device::Kind::kNet;
    device_.fd = guest_.get();
  }
  Result Receive(uint64_t* size) {
    return ReceiveFrame(device_, bytes_, size, &counters_);
  }

  UniqueFd peer_;
  UniqueFd guest_;
  Device device_;
  DeviceCounters counters_;
  uint8_t bytes_[2048] = {};
};

TEST_F(NetIoTest, PassesFramesBothWays) {
  EXPECT_EQ(SendFrame(device_, bytes_, 60, &counters_), Result::kOk);
  char frame[100] = "a frame";
  EXPECT_EQ(::recv(peer_.get(), frame, sizeof(frame), 0), 60);
  ASSERT_EQ(::send(peer_.get(), frame, 80, 0), 80);
  uint64_t size = sizeof(bytes_);
  EXPECT_EQ(Receive(&size), Result::kOk);
  EXPECT_EQ(size, 80u);
  size = sizeof(bytes_);
  EXPECT_EQ(Receive(&size), Result::kAgain);
  EXPECT_EQ(counters_.writes, 1u);
  EXPECT_EQ(counters_.bytes_written, 60u);
  EXPECT_EQ(counters_.reads, 1u);
  EXPECT_EQ(counters_.bytes_read, 80u);
}

TEST_F(NetIoTest, DropsFramesThatAreRefused) {
  int sent = 0;
  while (counters_.refused == 0 && sent < 10'000) {
    ASSERT_EQ(SendFrame(device_, bytes_, 1500, &counters_), Result::kOk);
    ++sent;
  }
  EXPECT_EQ(counters_.writes, static_cast<uint64_t>(sent - 1));
  peer_.reset();
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(SendFrame(device_, bytes_, 60, &counters_), Result::kOk);
  EXPECT_EQ(counters_.refused, 2u);
}

TEST_F(NetIoTest, TellsOfADeviceThatIsGone) {
  device_.fd = ::open("/", O_PATH | O_CLOEXEC);
  const UniqueFd closer(device_.fd);
  uint64_t size = sizeof(bytes_);
  EXPECT_EQ(Receive(&size), Result::kError);
  EXPECT_EQ(counters_.refused, 1u);
}

}  // namespace
}  // namespace serai::tender
