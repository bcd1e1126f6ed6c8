// SPDX-License-Identifier: Apache-2.0
// Snapshots of guests with devices, which are attached again.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/tender/snapshot/snapshot_case.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kBlockFd = 7;
constexpr int kNetFd = 8;
constexpr char kMac[] = "02:00:00:00:00:01";

// What a guest with devices wants: both ends of its wire and its disk.
class SnapshotDeviceTest : public SnapshotTest {
 protected:
  void SetUp() override {
    SnapshotTest::SetUp();
    disk_.reset(::open((directory_ / "disk").c_str(),
                       O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(disk_.get(), 8 * 4096), 0);
    Connect();
  }
  void Connect() {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
    const timeval patience = {20, 0};
    ::setsockopt(ours_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof(patience));
  }
  TenderSpec DeviceSpec(const Args& args) const {
    TenderSpec spec = SpecOf(args);
    spec.fds = {{kBlockFd, disk_.get()}, {kNetFd, theirs_.get()}};
    return spec;
  }
  // Who has 10.9.8.7? The answer tells the guest's MAC address.
  bool AnswersArp() {
    const char request[] =
        "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x02\x08\x06"
        "\x00\x01\x08\x00\x06\x04\x00\x01"
        "\x02\x00\x00\x00\x00\x02\x0a\x09\x08\x01"
        "\x00\x00\x00\x00\x00\x00\x0a\x09\x08\x07";
    if (::send(ours_.get(), request, sizeof(request) - 1, MSG_NOSIGNAL) < 0) {
      return false;
    }
    const std::string answer = std::string("\x00\x02", 2) +
                               std::string("\x02\x00\x00\x00\x00\x01", 6) +
                               "\x0a\x09\x08\x07";
    for (int i = 0; i < 10; ++i) {  // it may announce itself first
      char frame[2048];
      const ssize_t n = ::recv(ours_.get(), frame, sizeof(frame), 0);
      if (n <= 0) return false;
      const std::string text(frame, static_cast<size_t>(n));
      if (absl::StrContains(text, answer)) return true;
    }
    return false;
  }

  const Args kDevices = {"--block:storage=@7",
                         "--block-sector-size:storage=4096", "--net:service=@8",
                         "--net-mtu:service=1400"};
  UniqueFd disk_;
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(SnapshotDeviceTest, AnswersOnAnotherWireWithTheSameAddress) {
  Args args = {"--net:service=@8"};
  {
    Running guest(DeviceSpec(
        Join(Join({"--mem=16", To(), absl::StrCat("--net-mac:service=", kMac)},
                  args),
             {Guest("echo.hvt"), "--ipv4=10.9.8.7/24"})));
    ASSERT_TRUE(AnswersArp()) << guest.Output();
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_TRUE(AnswersArp()) << guest.Output();
  }
  Connect();
  TenderProcess clone(DeviceSpec(Join({From()}, args)));
  EXPECT_TRUE(AnswersArp()) << clone.Output();
  EXPECT_TRUE(AnswersArp()) << clone.Output();
  clone.Kill(SIGTERM);
  EXPECT_EQ(clone.Wait(), 128 + SIGTERM);
}

TEST_F(SnapshotDeviceTest, GoesOnWithItsDisk) {
  {
    Running guest(DeviceSpec(
        Join(Join({"--mem=16", To()}, kDevices), {Guest("ledger.hvt")})));
    ASSERT_TRUE(guest.process().WaitForOutput("block 3\n")) << guest.Output();
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
  }
  const TenderResult result = RunTender(DeviceSpec(Join({From()}, kDevices)));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("block 7\nSUCCESS"),
                                   Not(HasSubstr("block 3\n"))));
}

TEST_F(SnapshotDeviceTest, RefusesDevicesThatAreNotTheGuests) {
  const std::string mac = absl::StrCat("--net-mac:service=", kMac);
  {
    Running guest(DeviceSpec(Join(Join({"--mem=16", To(), mac}, kDevices),
                                  {Guest("ledger.hvt"), "--pause-ms=5000"})));
    ASSERT_TRUE(guest.process().WaitForOutput("block 0\n")) << guest.Output();
    ASSERT_THAT(guest.Snapshot(), HasSubstr("done"));
  }
  const auto refused = [&](const Args& args, const std::string& reason) {
    const TenderResult result = RunTender(DeviceSpec(Join({From()}, args)));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  };
  const auto with = [&](size_t index, const std::string& other) {
    Args args = kDevices;
    args[index] = other;
    return args;
  };
  refused({}, "All declared devices must be attached");
  refused({kDevices[0]}, "'service' of type NET_BASIC declared but not");
  refused(Join(kDevices, {"--net:other=@8"}), "not declared in manifest");
  refused(with(2, "--net:storage=@8"), "not declared in manifest");
  refused(with(1, "--block-sector-size:storage=512"),
          "knows 'storage' with 32768 bytes in blocks of 4096; what is "
          "attached has 32768 in blocks of 512");
  refused(with(3, "--net-mtu:service=1500"), "with an MTU of 1400");
  refused(Join(kDevices, {"--net-mac:service=02:00:00:00:00:02"}),
          absl::StrCat("keeps the MAC address that the guest has in its "
                       "memory, ",
                       kMac));
  ASSERT_EQ(::ftruncate(disk_.get(), 9 * 4096), 0);
  refused(kDevices, "what is attached has 36864");
  ASSERT_EQ(::ftruncate(disk_.get(), 8 * 4096), 0);
  TenderProcess clone(DeviceSpec(Join(Join({From()}, kDevices), {mac})));
  EXPECT_TRUE(clone.WaitForOutput("block 1\n")) << clone.Output();
}

}  // namespace
}  // namespace serai::testing
