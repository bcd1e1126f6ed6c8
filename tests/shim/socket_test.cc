// SPDX-License-Identifier: Apache-2.0
// The shim's socket and its record in the bundle.
#include "shim/socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "lib/base/file.h"
#include "shim/state_file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::StartsWith;

TEST(SocketPathTest, NamesThePodAndFitsInAnAddress) {
  EXPECT_EQ(SocketPath("/run/serai/s", "k8s.io", "abc").value_or(""),
            "/run/serai/s/k8s.io-abc.sock");
  const std::string id(64, 'f');
  EXPECT_EQ(SocketPath("/run/serai/s", "k8s.io", id).value_or(""),
            "/run/serai/s/k8s.io-" + id + ".sock");
  const std::string a = *SocketPath("/run/serai/s", "n", std::string(200, 'a'));
  const std::string b =
      *SocketPath("/run/serai/s", "n", std::string(199, 'a') + "b");
  EXPECT_EQ(a.size(), 107U);
  EXPECT_EQ(b.size(), 107U);
  EXPECT_NE(a, b);
  EXPECT_THAT(a, StartsWith("/run/serai/s/n-aaaa"));
  EXPECT_THAT(SocketPath("/" + std::string(90, 'd'), "n", id),
              HasStatus(absl::StatusCode::kInvalidArgument, "too long"));
}

TEST(SocketTest, AStaleSocketIsReplacedAndAServedOneIsSeen) {
  const TempDir dir;
  const std::string path = dir / "socket";
  EXPECT_FALSE(*IsServed(path));
  {
    ASSERT_OK_AND_ASSIGN(const UniqueFd fd, ListenAt(path));
    EXPECT_TRUE(*IsServed(path));
  }
  EXPECT_TRUE(PathExists(path));
  EXPECT_FALSE(*IsServed(path));
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, ListenAt(path));
  EXPECT_TRUE(*IsServed(path));
}

TEST(SocketTest, ADirectoryThatOthersMayEnterIsRefused) {
  const TempDir dir;
  EXPECT_OK(LockSocketDirectory(dir / "a/b"));
  struct stat st = {};
  ASSERT_EQ(::stat((dir / "a/b").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700U);
  ASSERT_EQ(::chmod((dir / "a/b").c_str(), 0755), 0);
  EXPECT_THAT(LockSocketDirectory(dir / "a/b").status(),
              HasStatus(absl::StatusCode::kPermissionDenied, "0700"));
}

TEST(TaskRecordTest, IsReadBackAndDamageIsSeen) {
  const TempDir dir;
  EXPECT_THAT(ReadTaskRecord(dir.path()).status(),
              HasStatus(absl::StatusCode::kNotFound, ""));
  TaskRecord record;
  record.id = "id";
  record.pid = 5;
  record.start_time = 12345;
  record.cgroup = "/a/b";
  record.made_cgroups = {"/sys/a", "/sys/a/b"};
  ASSERT_OK(WriteTaskRecord(dir.path(), record));
  ASSERT_OK_AND_ASSIGN(const TaskRecord read, ReadTaskRecord(dir.path()));
  EXPECT_EQ(read.id, record.id);
  EXPECT_EQ(read.pid, record.pid);
  EXPECT_EQ(read.start_time, record.start_time);
  EXPECT_EQ(read.cgroup, record.cgroup);
  EXPECT_EQ(read.made_cgroups, record.made_cgroups);
  for (const std::string damage : {"", "[]", "{\"version\":1}", "{\"version\"",
                                   "{\"version\":1,\"id\":\"a\",\"pid\":-1}"}) {
    ASSERT_OK(WriteFileAtomic(dir / "serai-task.json", damage));
    EXPECT_THAT(ReadTaskRecord(dir.path()).status(),
                HasStatus(absl::StatusCode::kDataLoss, "damaged"));
  }
  EXPECT_OK(RemoveTaskRecord(dir.path()));
  EXPECT_OK(RemoveTaskRecord(dir.path()));
}

}  // namespace
}  // namespace serai::shim
