// SPDX-License-Identifier: Apache-2.0
// The command line that the shim makes for the tender.
#include <fcntl.h>

#include <string>
#include <utility>

#include "lib/base/file.h"
#include "shim/arguments.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class TenderCommandTest : public ::testing::Test {
 protected:
  TenderCommandTest() { spec_.args = {"/app", "--x", "a b"}; }

  static constexpr int kStatusFd = 99;  // not used, only named

  static UniqueFd Open() { return *OpenFile("/dev/null", O_RDONLY); }

  oci::RuntimeSpec spec_;
  Guest guest_;
};

TEST_F(TenderCommandTest, HandsEverythingOverByDescriptor) {
  oci::GuestDevice net;
  net.name = "service";
  net.mac = "02:00:00:00:00:01";
  net.mtu = 1450;
  oci::GuestDevice block;
  block.name = "storage";
  block.type = oci::GuestDevice::Type::kBlock;
  block.read_only = true;
  spec_.devices = {net, block};
  guest_.memory_mib = 64;
  guest_.kvm = Open();
  guest_.kernel = Open();
  guest_.devices.push_back(Open());
  guest_.devices.push_back(Open());
  ASSERT_OK_AND_ASSIGN(const TenderCommand command,
                       MakeTenderCommand(spec_, guest_, kStatusFd, -1));
  EXPECT_THAT(
      command.args,
      ElementsAre("serai-tender", JailOption(false), "--mem=64", "--status=@3",
                  "--kvm=@4", "--net:service=@5",
                  "--net-mac:service=" + net.mac, "--net-mtu:service=1450",
                  "--block:storage=@6:ro", "--", "@7", "--x", "a\\ b"));
  EXPECT_THAT(command.fds,
              ElementsAre(kStatusFd, guest_.kvm.get(), guest_.devices[0].get(),
                          guest_.devices[1].get(), guest_.kernel.get()));
}

TEST_F(TenderCommandTest, LeavesOutWhatIsNotSaid) {
  guest_.kernel = Open();
  ASSERT_OK_AND_ASSIGN(const TenderCommand command,
                       MakeTenderCommand(spec_, guest_, kStatusFd, -1));
  EXPECT_THAT(command.args,
              ElementsAre("serai-tender", JailOption(false), "--status=@3",
                          "--", "@4", "--x", "a\\ b"));
}

TEST_F(TenderCommandTest, RestoresFromTwoFiles) {
  guest_.memory_mib = 64;
  guest_.kernel = Open();
  guest_.snapshot = {Open(), Open()};
  const UniqueFd snapshots = Open();
  ASSERT_OK_AND_ASSIGN(
      const TenderCommand command,
      MakeTenderCommand(spec_, guest_, kStatusFd, snapshots.get()));
  EXPECT_THAT(command.args,
              ElementsAre("serai-tender", JailOption(false), "--status=@3",
                          "--snapshot-to=@4", "--restore-from=@5:@6"));
  EXPECT_THAT(command.fds, ElementsAre(kStatusFd, snapshots.get(),
                                       guest_.snapshot.machine.get(),
                                       guest_.snapshot.memory.get()));
}

TEST_F(TenderCommandTest, ArgumentsMustFitInTheGuest) {
  guest_.kernel = Open();
  spec_.args = {"/app", std::string(4095, 'x'), std::string(4095, 'y')};
  EXPECT_OK(
      MakeTenderCommand(spec_, guest_, kStatusFd, -1));  // 8191 with the space
  spec_.args[2].push_back('y');
  EXPECT_THAT(MakeTenderCommand(spec_, guest_, kStatusFd, -1),
              HasStatus(kInvalid, "8192"));
  // It is the escaped length that counts.
  spec_.args = {"/app", std::string(4096, ' ')};
  EXPECT_THAT(MakeTenderCommand(spec_, guest_, kStatusFd, -1),
              HasStatus(kInvalid, "8192"));
}

}  // namespace
}  // namespace serai::shim
