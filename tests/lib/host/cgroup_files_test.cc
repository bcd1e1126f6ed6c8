// SPDX-License-Identifier: Apache-2.0
#include "lib/host/cgroup_files.h"

#include <unistd.h>

#include "lib/host/cgroup_membership.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class CgroupFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    EXPECT_OK(WriteFileAtomic(dir_ / name, content));
  }

  TempDir dir_;
  const CgroupFiles files_{dir_.path()};
};

TEST_F(CgroupFilesTest, NumbersAreRead) {
  Write("pids.current", "12\n");
  Write("pids.max", "max\n");
  Write("memory.max", "67108864\n");
  EXPECT_TRUE(files_.Has("pids.max"));
  EXPECT_EQ(files_.Number("pids.current"), 12u);
  EXPECT_EQ(files_.Number("pids.max"), 0u);
  EXPECT_EQ(files_.MaybeNumber("pids.max"), std::nullopt);
  EXPECT_EQ(files_.Limit("pids.max"), CgroupFiles::kNoLimit);
  EXPECT_EQ(files_.Limit("memory.max"), 67108864u);
}

TEST_F(CgroupFilesTest, WhatIsNotThereIsNothing) {
  EXPECT_FALSE(files_.Has("pids.max"));
  EXPECT_EQ(files_.Number("pids.max"), 0u);
  EXPECT_EQ(files_.Limit("pids.max"), 0u);
  EXPECT_THAT(files_.ReadTable("memory.stat"), IsEmpty());
  EXPECT_THAT(files_.Lines("io.stat"), IsEmpty());
  EXPECT_EQ(CgroupFiles("").Number("proc/self/oom_score_adj"), 0u);
}

TEST_F(CgroupFilesTest, LinesThatAreNoNumbersAreLeftOut) {
  Write("memory.stat", "anon 5\nfile -1\nfaults\n\nshmem 7 8\nslab 9\n");
  EXPECT_THAT(files_.ReadTable("memory.stat"),
              UnorderedElementsAre(Pair("anon", 5), Pair("slab", 9)));
}

TEST_F(CgroupFilesTest, LinesAreWords) {
  Write("io.stat", "8:0 rbytes=1  wbytes=2\n\n8:16\n");
  EXPECT_THAT(files_.Lines("io.stat"),
              ElementsAre(ElementsAre("8:0", "rbytes=1", "wbytes=2"),
                          ElementsAre("8:16")));
}

TEST(CgroupMembershipTest, EachTreeHasItsPath) {
  const auto membership = CgroupMembership::Parse(
      "4:memory:/kubepods/a:b\n"
      "3:cpu,cpuacct:/kubepods\n"
      "1:name=systemd:/system.slice/x.service\n"
      "0::/system.slice\n"
      "nonsense\n"
      "5:pids:relative\n");
  EXPECT_EQ(membership.PathOf("memory"), "/kubepods/a:b");
  EXPECT_EQ(membership.PathOf("cpu"), "/kubepods");
  EXPECT_EQ(membership.PathOf("cpuacct"), "/kubepods");
  EXPECT_EQ(membership.PathOf("name=systemd"), "/system.slice/x.service");
  EXPECT_EQ(membership.PathOf(""), "/system.slice");
  EXPECT_EQ(membership.PathOf("pids"), "");
}

TEST(CgroupMembershipTest, OfAProcess) {
  EXPECT_OK(CgroupMembership::Of(::getpid()));
  EXPECT_THAT(CgroupMembership::Of(1 << 30),
              HasStatus(absl::StatusCode::kNotFound, ""));
}

}  // namespace
}  // namespace serai::host
