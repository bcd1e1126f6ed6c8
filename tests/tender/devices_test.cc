// SPDX-License-Identifier: Apache-2.0
// Block devices as they are attached. Interfaces need privileges: see the
// integration tests.
#include "tender/devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace serai::tender {
namespace {

using ::testing::ExitedWithCode;

class BlockDevicesTest : public ::testing::Test {
 protected:
  BlockDevicesTest() : path_(directory_ / "disk"), file_(Open(O_RDWR)) {
    EXPECT_EQ(::ftruncate(file_.get(), 8192), 0);
  }

  UniqueFd Open(int flags) const {
    return UniqueFd(::open(path_.c_str(), flags | O_CREAT | O_CLOEXEC, 0600));
  }
  std::string At(const UniqueFd& fd) const {
    return absl::StrCat("@", fd.get());
  }

  // Attaches `place` as "disk".
  Device Attach(const std::string& place, BlockSync sync = BlockSync::kNone) {
    text_ = "--block:disk=" + place;
    Options options;
    options.block_sync = sync;
    EXPECT_TRUE(ParseDeviceOption(text_.c_str(), &options.device_options[0]));
    options.device_option_count = 1;
    manifest_ = {};
    manifest_.entry_count = 2;
    manifest_.entries[1].type = solo5::DeviceType::kBlock;
    std::strcpy(manifest_.entries[1].name, "disk");
    return AttachDevices(options, &manifest_)[1];
  }
  static bool IsSynchronous(const Device& device) {
    return (::fcntl(device.fd, F_GETFL) & O_DSYNC) != 0;
  }

  testing::TempDir directory_;
  std::string path_;
  UniqueFd file_;
  std::string text_;
  solo5::Manifest manifest_;
};

TEST_F(BlockDevicesTest, AreTakenAsTheyAre) {
  const Device device = Attach(At(file_));
  EXPECT_EQ(device.fd, file_.get());
  EXPECT_EQ(device.capacity, 8192u);
  EXPECT_EQ(manifest_.entries[1].block.capacity, 8192u);
  EXPECT_EQ(manifest_.entries[1].block.block_size, 512);
  EXPECT_FALSE(IsSynchronous(device));
  const Device by_path = Attach(path_);
  EXPECT_FALSE(IsSynchronous(by_path));
  ::close(by_path.fd);
}

TEST_F(BlockDevicesTest, WaitForTheMediumWhereAsked) {
  const Device by_path = Attach(path_, BlockSync::kFull);
  EXPECT_TRUE(IsSynchronous(by_path));
  ::close(by_path.fd);
  const Device again = Attach(At(file_), BlockSync::kFull);
  EXPECT_TRUE(IsSynchronous(again));
  EXPECT_EQ(::pwrite(again.fd, "x", 1, 8191), 1);
  char byte = 0;
  EXPECT_EQ(::pread(file_.get(), &byte, 1, 8191), 1);
  EXPECT_EQ(byte, 'x');
  ::close(again.fd);
  // One that waits already is not opened anew.
  const UniqueFd synchronous = Open(O_RDWR | O_DSYNC);
  EXPECT_EQ(Attach(At(synchronous), BlockSync::kFull).fd, synchronous.get());
}

TEST_F(BlockDevicesTest, AreNotWrittenToWhereReadOnly) {
  const Device device = Attach(path_ + ":ro", BlockSync::kFull);
  EXPECT_TRUE(device.read_only);
  EXPECT_EQ(::fcntl(device.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
  ::close(device.fd);
}

TEST_F(BlockDevicesTest, AreRefusedWhereTheyCanNotWait) {
  const UniqueFd write_only = Open(O_WRONLY);
  EXPECT_EQ(::fchmod(write_only.get(), 0), 0);
  EXPECT_EXIT(
      {
        // Nobody's file, and no capability to open it again.
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
        Attach(At(write_only), BlockSync::kFull);
      },
      ExitedWithCode(1), "has to be open with O_DSYNC");
}

TEST_F(BlockDevicesTest, AreFilesOrBlockDevices) {
  EXPECT_EXIT(Attach("/dev/null"), ExitedWithCode(1), "is neither a file nor");
  EXPECT_EXIT(Attach("/tmp:ro"), ExitedWithCode(1), "is neither a file nor");
}

}  // namespace
}  // namespace serai::tender
