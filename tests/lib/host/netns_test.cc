// SPDX-License-Identifier: Apache-2.0
#include "lib/host/netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::IsEmpty;

ino_t InodeOf(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_ino;
}

ino_t OwnNetns() { return InodeOf("/proc/thread-self/ns/net"); }

// A namespace at `path` that is gone after the test.
class MadeNetns {
 public:
  explicit MadeNetns(std::string path) : path_(std::move(path)) {
    EXPECT_OK(CreateNetns(path_));
  }
  ~MadeNetns() { EXPECT_OK(RemoveNetns(path_)); }
  MadeNetns(const MadeNetns&) = delete;
  MadeNetns& operator=(const MadeNetns&) = delete;

 private:
  std::string path_;
};

bool LoopbackIsUp() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  EXPECT_EQ(::ioctl(socket.get(), SIOCGIFFLAGS, &request), 0);
  return (request.ifr_flags & IFF_UP) != 0;
}

TEST(NetnsTest, CreatedNamespaceIsANewOneWithLoopbackUp) {
  SERAI_NEED("root");
  const TempDir dir;
  const MadeNetns netns(dir / "ns");
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenNetns(dir / "ns"));
  bool up = false;
  EXPECT_OK(RunInNetns(fd.get(), [&] {
    up = LoopbackIsUp();
    return absl::OkStatus();
  }));
  EXPECT_TRUE(up);
  EXPECT_NE(InodeOf(dir / "ns"), OwnNetns());
}

TEST(NetnsTest, CallersNamespaceIsUntouched) {
  SERAI_NEED("root");
  const TempDir dir;
  const ino_t before = OwnNetns();
  const MadeNetns netns(dir / "ns");
  EXPECT_EQ(OwnNetns(), before);
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenNetns(dir / "ns"));
  ino_t inside = 0;
  EXPECT_OK(RunInNetns(fd.get(), [&] {
    inside = OwnNetns();
    return absl::OkStatus();
  }));
  EXPECT_EQ(inside, InodeOf(dir / "ns"));
  EXPECT_EQ(OwnNetns(), before);
}

TEST(NetnsTest, SocketOpenedInsideStaysThere) {
  SERAI_NEED("root");
  const TempDir dir;
  const MadeNetns netns(dir / "ns");
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenNetns(dir / "ns"));
  UniqueFd socket;
  EXPECT_OK(RunInNetns(fd.get(), [&] {
    socket.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return absl::OkStatus();
  }));
  ASSERT_TRUE(socket.valid());
  // SIOCGSKNS: the namespace of a socket (linux/sockios.h).
  constexpr unsigned long kSocketNetns = 0x894C;
  const UniqueFd its_netns(::ioctl(socket.get(), kSocketNetns));
  ASSERT_TRUE(its_netns.valid());
  struct stat st = {};
  ASSERT_EQ(::fstat(its_netns.get(), &st), 0);
  EXPECT_EQ(st.st_ino, InodeOf(dir / "ns"));
}

TEST(NetnsTest, ErrorOfTheWorkIsReturned) {
  SERAI_NEED("root");
  const TempDir dir;
  const MadeNetns netns(dir / "ns");
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenNetns(dir / "ns"));
  EXPECT_THAT(
      RunInNetns(fd.get(), [] { return absl::DataLossError("as told"); }),
      HasStatus(absl::StatusCode::kDataLoss, "as told"));
}

TEST(NetnsTest, RemoveLeavesNothingAndIsIdempotent) {
  SERAI_NEED("root");
  const TempDir dir;
  ASSERT_OK(CreateNetns(dir / "ns"));
  EXPECT_OK(RemoveNetns(dir / "ns"));
  EXPECT_FALSE(PathExists(dir / "ns"));
  EXPECT_OK(RemoveNetns(dir / "ns"));
  EXPECT_OK(RemoveNetns(dir / "no/such/directory"));
}

TEST(NetnsTest, RemoveTakesAFileThatWasNeverMountedOn) {
  SERAI_NEED("root");
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "ns", ""));
  EXPECT_OK(RemoveNetns(dir / "ns"));
  EXPECT_FALSE(PathExists(dir / "ns"));
}

TEST(NetnsTest, RemoveReachesCopiesInOtherMountNamespaces) {
  SERAI_NEED("root");
  const TempDir dir;
  ASSERT_OK(CreateNetns(dir / "ns"));
  int pipe_fds[2];
  int ready_fds[2];
  ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(ready_fds, O_CLOEXEC), 0);
  const std::string path = dir / "ns";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // a mount namespace with a private copy of the mount
    char byte = 0;
    ::close(pipe_fds[1]);
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, path.c_str(), nullptr, MS_PRIVATE, nullptr) != 0 ||
        ::write(ready_fds[1], &byte, 1) != 1 ||
        ::read(pipe_fds[0], &byte, 1) != 0) {
      ::_exit(2);
    }
    ::_exit(::access(path.c_str(), F_OK) == 0 ? 1 : 0);
  }
  const UniqueFd child_holds(pipe_fds[0]);
  UniqueFd let_go(pipe_fds[1]);
  const UniqueFd ready(ready_fds[0]);
  ::close(ready_fds[1]);
  char byte = 0;
  EXPECT_EQ(::read(ready.get(), &byte, 1), 1);
  EXPECT_OK(RemoveNetns(path));
  let_go.reset();
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(NetnsTest, CreateRefusesAnExistingFile) {
  SERAI_NEED("root");
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "ns", "keep"));
  EXPECT_THAT(CreateNetns(dir / "ns"),
              HasStatus(absl::StatusCode::kAlreadyExists, "open "));
  ASSERT_OK_AND_ASSIGN(const std::string data, ReadFile(dir / "ns", 10));
  EXPECT_EQ(data, "keep");
}

TEST(NetnsTest, CreateWithoutTheParentDirectoryIsNotFound) {
  const TempDir dir;
  EXPECT_THAT(CreateNetns(dir / "missing/ns"),
              HasStatus(absl::StatusCode::kNotFound, "missing/ns"));
}

TEST(NetnsTest, FailedCreateLeavesNoFile) {
  const TempDir dir;
  // In a child without the right to make namespaces.
  const std::string path = dir / "ns";
  ASSERT_EQ(::chmod(dir.path().c_str(), 0777), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    ::_exit(CreateNetns(path).ok() ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ASSERT_OK_AND_ASSIGN(const auto names, ListDir(dir.path()));
  EXPECT_THAT(names, IsEmpty());
}

TEST(NetnsTest, OpenRefusesWhatIsNoNetworkNamespace) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "file", ""));
  EXPECT_THAT(
      OpenNetns(dir / "file"),
      HasStatus(absl::StatusCode::kInvalidArgument, "is no network namespace"));
  EXPECT_THAT(
      OpenNetns("/proc/self/ns/mnt"),
      HasStatus(absl::StatusCode::kInvalidArgument, "is no network namespace"));
  EXPECT_THAT(OpenNetns(dir / "missing"),
              HasStatus(absl::StatusCode::kNotFound, "missing"));
}

}  // namespace
}  // namespace serai::host
