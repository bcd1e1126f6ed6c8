// SPDX-License-Identifier: Apache-2.0
#include "lib/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;

TEST(FileTest, AtomicWriteReplacesTheContentAndLeavesNoTemporary) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "record", "old"));
  ASSERT_OK(WriteFileAtomic(dir / "record", "new", 0640));
  ASSERT_OK_AND_ASSIGN(const std::string data, ReadFile(dir / "record", 100));
  EXPECT_EQ(data, "new");
  ASSERT_OK_AND_ASSIGN(const auto names, ListDir(dir.path()));
  EXPECT_THAT(names, ElementsAre("record"));
  struct stat st = {};
  ASSERT_EQ(::stat((dir / "record").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777u, 0640u);
}

TEST(FileTest, ReadOfALongerFileIsRefused) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "big", std::string(101, 'x')));
  EXPECT_THAT(
      ReadFile(dir / "big", 100),
      HasStatus(absl::StatusCode::kResourceExhausted, "longer than 100 bytes"));
}

TEST(FileTest, ReadOfAMissingFileIsNotFoundAndNamesIt) {
  EXPECT_THAT(ReadFile("/nonexistent/x", 1),
              HasStatus(absl::StatusCode::kNotFound, "open /nonexistent/x"));
}

TEST(FileTest, MakeDirsMakesParentsAndAcceptsWhatIsThere) {
  const TempDir dir;
  EXPECT_OK(MakeDirs(dir / "a/b/c"));
  EXPECT_OK(MakeDirs(dir / "a/b/c"));
  EXPECT_TRUE(PathExists(dir / "a/b/c"));
  ASSERT_OK(WriteFileAtomic(dir / "file", ""));
  EXPECT_FALSE(MakeDirs(dir / "file").ok());
}

TEST(FileTest, RemoveTreeDoesNotFollowLinks) {
  const TempDir dir;
  ASSERT_OK(MakeDirs(dir / "keep"));
  ASSERT_OK(WriteFileAtomic(dir / "keep/file", "x"));
  ASSERT_OK(MakeDirs(dir / "tree/sub"));
  ASSERT_EQ(::symlink((dir / "keep").c_str(), (dir / "tree/sub/link").c_str()),
            0);
  EXPECT_OK(RemoveTree(dir / "tree"));
  EXPECT_FALSE(PathExists(dir / "tree"));
  EXPECT_TRUE(PathExists(dir / "keep/file"));
  EXPECT_OK(RemoveTree(dir / "tree"));
}

// As a program that was taken over might make it: deeper than there are
// descriptors, or room on a stack.
TEST(FileTest, RemoveTreeTakesATreeOfAnyDepth) {
  const TempDir dir;
  ASSERT_OK(MakeDirs(dir / "tree/.too-deep.0"));
  ASSERT_OK(WriteFileAtomic(dir / "tree/.too-deep.0/file", "x"));
  ASSERT_OK(WriteFileAtomic(dir / "tree/.too-deep.1", "x"));
  ASSERT_OK_AND_ASSIGN(UniqueFd at,
                       OpenFile(dir / "tree", O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 20'000; ++i) {
    for (const char* name : {"aside", "deeper"}) {
      ASSERT_EQ(::mkdirat(at.get(), name, 0700), 0);
    }
    at.reset(::openat(at.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at.valid());
  }
  EXPECT_OK(RemoveTree(dir / "tree"));
  EXPECT_FALSE(PathExists(dir / "tree"));
}

TEST(FileTest, RemovePathOfAMissingFileSucceeds) {
  EXPECT_OK(RemovePath("/nonexistent/x"));
}

TEST(FileTest, JoinPathPutsOneSlash) {
  EXPECT_EQ(JoinPath("/a/", "/b"), "/a/b");
  EXPECT_EQ(JoinPath("/a", "b"), "/a/b");
}

}  // namespace
}  // namespace serai
