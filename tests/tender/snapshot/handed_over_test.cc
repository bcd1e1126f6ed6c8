// SPDX-License-Identifier: Apache-2.0
// Snapshots whose directory comes by a socket, and guests that are restored
// from two open files: a jailed tender opens nothing.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/tender/snapshot/snapshot_case.h"

namespace serai::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kSocketFd = 6;
constexpr int kMachineFd = 7;
constexpr int kMemoryFd = 8;
constexpr uid_t kUser = 65533;

class HandedOverTest : public SnapshotTest {
 protected:
  void SetUp() override {
    SnapshotTest::SetUp();
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }

  // A guest at its third line, which waits for its next for long.
  std::unique_ptr<Running> Start(const Args& jail = {}) {
    TenderSpec spec = SpecOf(
        Join(jail, {"--mem=16", absl::StrCat("--snapshot-to=@", kSocketFd),
                    Guest("count.hvt"), "--lines=6", "--pause-ms=200"}));
    spec.fds[kSocketFd] = theirs_.get();
    auto guest = std::make_unique<Running>(spec);
    EXPECT_TRUE(guest->process().WaitForOutput("count: 3\n"))
        << guest->Output();
    return guest;
  }

  void Send(const std::vector<int>& fds) const {
    char byte = 's';
    iovec data = {&byte, 1};
    alignas(cmsghdr) std::array<char, 64> control = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    const size_t size = fds.size() * sizeof(int);
    if (size > 0) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(size);
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(size);
      std::memcpy(CMSG_DATA(header), fds.data(), size);
    }
    ASSERT_EQ(::sendmsg(ours_.get(), &message, 0), 1);
  }

  UniqueFd Open(const std::string& path, int flags) const {
    return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC));
  }

  TenderResult Restore(const std::string& directory,
                       const std::string& machine = "machine",
                       const std::string& memory = "memory.0") const {
    const UniqueFd first = Open(JoinPath(directory, machine), O_RDONLY);
    const UniqueFd second = Open(JoinPath(directory, memory), O_RDONLY);
    TenderSpec spec =
        SpecOf({absl::StrCat("--restore-from=@", kMachineFd, ":@", kMemoryFd)});
    spec.fds = {{kMachineFd, first.get()}, {kMemoryFd, second.get()}};
    return RunTender(spec);
  }

  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(HandedOverTest, WritesEachSnapshotToADirectoryOfItsOwn) {
  const TempDir second;
  const auto guest = Start();
  for (const std::string& path : {directory_.path(), second.path()}) {
    Send({Open(path, O_RDONLY | O_DIRECTORY).get()});
    EXPECT_THAT(guest->Snapshot(), HasSubstr("\"done\""));
    EXPECT_THAT(*ListDir(path), ElementsAre("machine", "memory.0"));
  }
  EXPECT_EQ(guest->process().Wait(), 0) << guest->Output();
  ExpectRest(Restore(directory_.path()));
  ExpectRest(Restore(second.path()));
}

// Also as the user that the shim has its tenders run as.
TEST_F(HandedOverTest, WorksInAJail) {
  SERAI_NEED("root");
  ASSERT_EQ(::chown(directory_.path().c_str(), kUser, kUser), 0);
  const auto guest = Start({"--jail=ipc,uts,uid=65533,gid=65533"});
  Send({Open(directory_.path(), O_RDONLY | O_DIRECTORY).get()});
  EXPECT_THAT(guest->Snapshot(), HasSubstr("\"done\""));
  EXPECT_EQ(guest->process().Wait(), 0) << guest->Output();
  ExpectRest(Restore(directory_.path()));
}

// What a tender has open at other times must not let it make a file.
TEST_F(HandedOverTest, HoldsNoDirectoryBehindASnapshot) {
  SERAI_NEED("root");
  ASSERT_EQ(::chown(directory_.path().c_str(), kUser, kUser), 0);
  const auto guest = Start({"--jail=uid=65533,gid=65533"});
  Send({Open(directory_.path(), O_RDONLY | O_DIRECTORY).get()});
  ASSERT_THAT(guest->Snapshot(), HasSubstr("\"done\""));
  const std::string fds = absl::StrCat("/proc/", guest->process().pid(), "/fd");
  const auto names = ListDir(fds);
  ASSERT_TRUE(names.ok()) << names.status();
  for (const std::string& name : *names) {
    std::array<char, 4096> target = {};
    EXPECT_GT(::readlink(JoinPath(fds, name).c_str(), target.data(),
                         target.size() - 1),
              0);
    EXPECT_FALSE(absl::StartsWith(target.data(), directory_.path())) << name;
  }
}

TEST_F(HandedOverTest, GoesOnWithoutASnapshotWhereNoDirectoryComes) {
  const auto guest = Start();
  EXPECT_THAT(guest->Snapshot(),
              HasSubstr("\"failed\",\"message\":\"receiving the directory: "
                        "Resource temporarily unavailable"));
  Send({});
  EXPECT_THAT(guest->Snapshot(),
              HasSubstr("receiving the directory: Bad message"));
  Send({Open(Guest("count.hvt"), O_RDONLY).get()});
  EXPECT_THAT(guest->Snapshot(),
              HasSubstr("creating the memory file: Not a directory"));
  EXPECT_THAT(Files(), IsEmpty());
  // And is ready for the next, of which the first descriptor counts.
  const UniqueFd directory = Open(directory_.path(), O_RDONLY | O_DIRECTORY);
  Send({directory.get(), STDERR_FILENO});
  EXPECT_THAT(guest->Snapshot(), HasSubstr("\"done\""));
  EXPECT_EQ(guest->process().Wait(), 0) << guest->Output();
}

TEST_F(HandedOverTest, RestoresFromTheTwoFilesOfOneSnapshotOnly) {
  TakeOfCount();
  const auto refused = [&](const TenderResult& result,
                           const std::string& reason) {
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  };
  refused(Restore(directory_.path(), "memory.0", "machine"), "machine: ");
  refused(Restore(directory_.path(), "machine", "machine"),
          "memory.0: has another size than the machine file says");
  refused(Restore(directory_.path(), "machine", "."), "memory.0: is no file");
  const std::string first = Read("memory.0");
  TakeOfCount();
  Write("memory.0", first);
  refused(Restore(directory_.path()), "belongs to another snapshot");
  ExpectRest(Restore(directory_.path(), "machine", "memory.1"));
}

TEST_F(HandedOverTest, ReadsItsOption) {
  for (const char* value :
       {"@7:", "@7:8", "@7:@", "@x:@8", ":@8", "@7:@8:@9"}) {
    const TenderResult result =
        RunTender(SpecOf({absl::StrCat("--restore-from=", value)}));
    EXPECT_EQ(result.status, 1) << value << result.output;
  }
}

}  // namespace
}  // namespace serai::testing
