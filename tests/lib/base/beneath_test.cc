// SPDX-License-Identifier: Apache-2.0
#include "lib/base/beneath.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class BeneathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(dir_ / "volume/sub"));
    ASSERT_OK(WriteFileAtomic(dir_ / "volume/sub/file", "inside"));
    ASSERT_OK(WriteFileAtomic(dir_ / "outside", "outside"));
    ASSERT_OK_AND_ASSIGN(fd_, OpenFile(dir_ / "volume", O_PATH | O_DIRECTORY));
  }
  void Link(const std::string& to, const char* name) {
    ASSERT_EQ(::symlink(to.c_str(), (dir_ / "volume" + "/" + name).c_str()), 0);
  }
  absl::StatusOr<std::string> Read(const std::string& path) {
    ASSIGN_OR_RETURN(const UniqueFd file,
                     OpenRegularBeneath(fd_.get(), path, O_RDONLY));
    return ReadAll(file.get(), 100);
  }

  TempDir dir_;
  UniqueFd fd_;
};

TEST_F(BeneathTest, WhatIsInsideIsOpenedAlsoByALink) {
  Link("sub/../sub/file", "link");
  EXPECT_THAT(Read("sub/file"), ::serai::testing::IsOkAndHolds("inside"));
  EXPECT_THAT(Read("link"), ::serai::testing::IsOkAndHolds("inside"));
}

TEST_F(BeneathTest, NothingLeadsOut) {
  Link("../outside", "up");
  Link(dir_ / "outside", "absolute");
  Link("/proc/self/root", "magic");
  Link("..", "sub/top");
  for (const std::string& path :
       {std::string("up"), std::string("absolute"), std::string("../outside"),
        dir_ / "outside", std::string("magic/etc/passwd")}) {
    EXPECT_THAT(Read(path), HasStatus(kInvalid, "leads out of")) << path;
  }
  EXPECT_THAT(Read("sub/top/sub/file"),
              ::serai::testing::IsOkAndHolds("inside"));
}

TEST_F(BeneathTest, OnlyARegularFileIsOpenedAndNothingBlocks) {
  ASSERT_EQ(::mkfifo((dir_ / "volume/fifo").c_str(), 0600), 0);
  EXPECT_THAT(Read("fifo"), HasStatus(kInvalid, "not a regular file"));
  EXPECT_THAT(Read("sub"), HasStatus(kInvalid, "not a regular file"));
  EXPECT_THAT(Read("none"), HasStatus(absl::StatusCode::kNotFound, "none"));
}

}  // namespace
}  // namespace serai
