// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
namespace {

using testing::HasStatus;

class RootfsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(dir_ / "root/bin"));
    ASSERT_OK(WriteFileAtomic(dir_ / "root/bin/app", "inside"));
    ASSERT_OK(WriteFileAtomic(dir_ / "secret", "outside"));
    ASSERT_OK_AND_ASSIGN(root_,
                         OpenFile(dir_ / "root", O_RDONLY | O_DIRECTORY));
  }
  void Link(const std::string& target, const char* name) {
    ASSERT_EQ(::symlink(target.c_str(), (dir_ / name).c_str()), 0);
  }

  testing::TempDir dir_;
  UniqueFd root_;
};

TEST_F(RootfsTest, ResolvesLinksInsideTheRoot) {
  Link("/bin/app", "root/absolute");
  Link("../../../../bin/app", "root/bin/climbing");
  for (const char* path :
       {"/bin/app", "bin/app", "absolute", "bin/climbing", "../../bin/app"}) {
    ASSERT_OK_AND_ASSIGN(const RootFile file,
                         OpenRegularInRoot(root_.get(), path));
    EXPECT_EQ(file.path, "/bin/app") << path;
    EXPECT_EQ(*ReadAll(file.fd.get(), 100), "inside");
  }
}

TEST_F(RootfsTest, NothingOutsideIsReached) {
  Link("../secret", "root/relative");
  Link(dir_ / "secret", "root/absolute");
  Link("/proc/self/root", "root/magic");
  for (const char* path : {"relative", "absolute", "../secret", "magic"}) {
    EXPECT_FALSE(OpenRegularInRoot(root_.get(), path).ok()) << path;
  }
}

TEST_F(RootfsTest, OnlyRegularFilesCount) {
  ASSERT_EQ(::mkfifo((dir_ / "root/fifo").c_str(), 0600), 0);
  EXPECT_THAT(OpenRegularInRoot(root_.get(), "bin"),
              HasStatus(absl::StatusCode::kInvalidArgument, "regular"));
  EXPECT_THAT(OpenRegularInRoot(root_.get(), "fifo"),
              HasStatus(absl::StatusCode::kInvalidArgument, "regular"));
  EXPECT_THAT(OpenRegularInRoot(root_.get(), "none"),
              HasStatus(absl::StatusCode::kNotFound, "none"));
}

}  // namespace
}  // namespace serai::oci
