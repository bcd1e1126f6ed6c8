// SPDX-License-Identifier: Apache-2.0
// The files of cgroup v2, in a plain directory that stands for the tree.
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CgroupV2Test : public ::testing::Test {
 protected:
  CgroupV2Test() : hierarchy_(CgroupHierarchy::V2(dir_.path())) {
    Write("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    Write("cgroup.subtree_control", "");
  }

  void Write(const std::string& name, const std::string& content) {
    EXPECT_OK(WriteFileAtomic(dir_ / name, content));
  }

  std::string Read(const std::string& name) {
    const auto content = ReadFile(dir_ / name, 4096);
    return content.ok() ? *content : content.status().ToString();
  }

  // The cgroup "/pod/app" with empty control files, as the kernel would make
  // them.
  Cgroup Prepared() {
    EXPECT_OK(MakeDirs(dir_ / "pod/app"));
    for (const char* file : {"memory.max", "cpu.weight", "cpu.max",
                             "cpuset.cpus", "cpuset.mems", "pids.max"}) {
      Write(absl::StrCat("pod/app/", file), "");
    }
    auto cgroup = Cgroup::Create(hierarchy_, "/pod/app");
    EXPECT_OK(cgroup);
    return *std::move(cgroup);
  }

  TempDir dir_;
  CgroupHierarchy hierarchy_;
};

TEST_F(CgroupV2Test, CreateEnablesOurControllersInEveryAncestor) {
  ASSERT_OK(MakeDirs(dir_ / "kubepods"));
  Write("cgroup.subtree_control", "cpu io");
  Write("kubepods/cgroup.controllers", "cpu memory\n");
  Write("kubepods/cgroup.subtree_control", "");
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(hierarchy_, "/kubepods/pod1/app"));
  EXPECT_EQ(Read("cgroup.subtree_control"), "+cpuset +memory +pids");
  EXPECT_EQ(Read("kubepods/cgroup.subtree_control"), "+cpu +memory");
  EXPECT_THAT(cgroup.made(),
              ElementsAre(dir_ / "kubepods/pod1", dir_ / "kubepods/pod1/app"));
}

TEST_F(CgroupV2Test, LimitsAreWrittenInTheKernelsForm) {
  const Cgroup cgroup = Prepared();
  CgroupLimits limits;
  limits.memory_bytes = 64 << 20;
  limits.cpu_quota_us = 50'000;
  limits.cpu_period_us = 200'000;
  limits.cpu_shares = 1024;
  limits.cpuset_cpus = "0-1";
  limits.cpuset_mems = "0";
  limits.pids_max = 16;
  ASSERT_OK_AND_ASSIGN(const auto not_applied, cgroup.SetLimits(limits));
  EXPECT_THAT(not_applied, IsEmpty());
  EXPECT_EQ(Read("pod/app/memory.max"), "67108864");
  EXPECT_EQ(Read("pod/app/cpu.max"), "50000 200000");
  EXPECT_EQ(Read("pod/app/cpu.weight"), "39");
  EXPECT_EQ(Read("pod/app/cpuset.cpus"), "0-1");
  EXPECT_EQ(Read("pod/app/cpuset.mems"), "0");
  EXPECT_EQ(Read("pod/app/pids.max"), "16");
}

TEST_F(CgroupV2Test, NegativeLimitsLift) {
  const Cgroup cgroup = Prepared();
  CgroupLimits limits;
  limits.memory_bytes = -1;
  limits.cpu_quota_us = -1;
  limits.pids_max = -1;
  EXPECT_OK(cgroup.SetLimits(limits));
  EXPECT_EQ(Read("pod/app/memory.max"), "max");
  EXPECT_EQ(Read("pod/app/cpu.max"), "max 100000");
  EXPECT_EQ(Read("pod/app/pids.max"), "max");
}

TEST_F(CgroupV2Test, HalfACpuLimitKeepsTheOtherHalf) {
  const Cgroup cgroup = Prepared();
  Write("pod/app/cpu.max", "10000 20000\n");
  CgroupLimits limits;
  limits.cpu_quota_us = 15'000;
  EXPECT_OK(cgroup.SetLimits(limits));
  EXPECT_EQ(Read("pod/app/cpu.max").substr(0, 11), "15000 20000");
}

TEST_F(CgroupV2Test, SharesBecomeWeights) {
  const Cgroup cgroup = Prepared();
  const std::pair<uint64_t, std::string> cases[] = {
      {0, "1"}, {2, "1"}, {262144, "10000"}, {uint64_t{1} << 40, "10000"}};
  for (const auto& [shares, weight] : cases) {
    Write("pod/app/cpu.weight", "");
    CgroupLimits limits;
    limits.cpu_shares = shares;
    EXPECT_OK(cgroup.SetLimits(limits));
    EXPECT_EQ(Read("pod/app/cpu.weight"), weight) << shares;
  }
}

TEST_F(CgroupV2Test, LimitOfAControllerThatTheMachineLacksIsReported) {
  const Cgroup cgroup = Prepared();
  Write("cgroup.controllers", "memory\n");
  CgroupLimits limits;
  limits.memory_bytes = 4096;
  limits.pids_max = 3;
  ASSERT_OK_AND_ASSIGN(const auto not_applied, cgroup.SetLimits(limits));
  EXPECT_THAT(not_applied, ElementsAre(AllOf(HasSubstr("pids.max"),
                                             HasSubstr("no pids controller"))));
  EXPECT_EQ(Read("pod/app/memory.max"), "4096");
}

TEST_F(CgroupV2Test, LimitThatCannotBeWrittenIsAnError) {
  const Cgroup cgroup = Prepared();
  ASSERT_OK(RemovePath(dir_ / "pod/app/pids.max"));
  CgroupLimits limits;
  limits.pids_max = 3;
  EXPECT_THAT(cgroup.SetLimits(limits), HasStatus(absl::StatusCode::kNotFound,
                                                  "limiting cgroup /pod/app"));
}

TEST_F(CgroupV2Test, UsageIsReadFromEveryFile) {
  const Cgroup cgroup = Prepared();
  Write("pod/app/cpu.stat",
        "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 0\n");
  Write("pod/app/memory.current", "1000000\n");
  Write("pod/app/memory.max", "max\n");
  Write("pod/app/memory.stat",
        "anon 300000\nfile 600000\ninactive_file 400000\npgfault 77\n"
        "pgmajfault 7\n");
  Write("pod/app/memory.events", "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\n");
  Write("pod/app/pids.current", "3\n");
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, cgroup.Usage());
  EXPECT_EQ(usage.cpu_ns, 1'500'000u);
  EXPECT_EQ(usage.cpu_user_ns, 1'000'000u);
  EXPECT_EQ(usage.cpu_system_ns, 500'000u);
  EXPECT_EQ(usage.memory_bytes, 1'000'000u);
  EXPECT_EQ(usage.working_set_bytes, 600'000u);
  EXPECT_EQ(usage.rss_bytes, 300'000u);
  EXPECT_EQ(usage.page_faults, 77u);
  EXPECT_EQ(usage.major_page_faults, 7u);
  EXPECT_EQ(usage.oom_kills, 1u);
  EXPECT_EQ(usage.pids, 3u);
  EXPECT_EQ(usage.memory_limit_bytes, std::nullopt);
  Write("pod/app/memory.max", "2000000\n");
  ASSERT_OK_AND_ASSIGN(usage, cgroup.Usage());
  EXPECT_EQ(usage.memory_limit_bytes, 2'000'000u);
}

TEST_F(CgroupV2Test, FilesThatAreNotThereReadAsZero) {
  const Cgroup cgroup = Prepared();
  Write("pod/app/memory.stat", "nonsense\nanon\nanon x\n");
  Write("pod/app/memory.current", "-1\n");
  ASSERT_OK_AND_ASSIGN(const CgroupUsage usage, cgroup.Usage());
  EXPECT_EQ(usage.cpu_ns, 0u);
  EXPECT_EQ(usage.memory_bytes, 0u);
  EXPECT_EQ(usage.rss_bytes, 0u);
}

TEST_F(CgroupV2Test, ProcessesOfTheWholeSubtreeAreListedOnce) {
  const Cgroup cgroup = Prepared();
  ASSERT_OK(MakeDirs(dir_ / "pod/app/inner"));
  Write("pod/app/cgroup.procs", "30\n10\n0\n");
  Write("pod/app/inner/cgroup.procs", "20\n10\n");
  ASSERT_OK_AND_ASSIGN(const auto pids, cgroup.Processes());
  EXPECT_THAT(pids, ElementsAre(10, 20, 30));
}

TEST_F(CgroupV2Test, ProcessIsMovedByItsPid) {
  const Cgroup cgroup = Prepared();
  Write("pod/app/cgroup.procs", "");
  EXPECT_OK(cgroup.AddProcess(4321));
  EXPECT_EQ(Read("pod/app/cgroup.procs"), "4321");
  EXPECT_OK(cgroup.OpenDirectory());
}

TEST_F(CgroupV2Test, AbsentCgroupIsNotFoundAndRemovedAndKilled) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup, Cgroup::Open(hierarchy_, "/none"));
  EXPECT_FALSE(cgroup.Exists());
  EXPECT_THAT(cgroup.Usage(), HasStatus(absl::StatusCode::kNotFound, "/none"));
  EXPECT_OK(cgroup.Remove());
  EXPECT_OK(cgroup.KillAll());
}

TEST_F(CgroupV2Test, RemoveMadeLeavesWhatOthersUse) {
  ASSERT_OK_AND_ASSIGN(const Cgroup one, Cgroup::Create(hierarchy_, "/p/q/1"));
  ASSERT_OK_AND_ASSIGN(const Cgroup two, Cgroup::Create(hierarchy_, "/p/q/2"));
  EXPECT_THAT(two.made(), ElementsAre(dir_ / "p/q/2"));
  EXPECT_OK(one.Remove());
  EXPECT_OK(RemoveMade(one.made()));
  EXPECT_TRUE(two.Exists());
  EXPECT_OK(two.Remove());
  EXPECT_OK(RemoveMade(one.made()));
  EXPECT_FALSE(PathExists(dir_ / "p"));
}

TEST_F(CgroupV2Test, FailedCreateRemovesWhatItMade) {
  Write("cgroup.controllers", "");

  // A file where a directory is to be made.
  ASSERT_OK(MakeDirs(dir_ / "c"));
  Write("c/file", "");
  EXPECT_FALSE(Cgroup::Create(hierarchy_, "/c/file/x").ok());
  ASSERT_OK_AND_ASSIGN(const auto names, ListDir(dir_ / "c"));
  EXPECT_THAT(names, ElementsAre("file"));
}

TEST(CgroupPathTest, OddPathsAreRefused) {
  const CgroupHierarchy hierarchy = CgroupHierarchy::V2("/nonexistent");
  for (const std::string& path :
       {std::string(), std::string("/"), std::string("///"), std::string("a"),
        std::string("/a/../b"), std::string("/./a"), std::string("/a\0b", 4),
        std::string("/") + std::string(256, 'x'), std::string(5000, '/')}) {
    EXPECT_THAT(Cgroup::Open(hierarchy, path),
                HasStatus(absl::StatusCode::kInvalidArgument,
                          "can't be the path of a cgroup"))
        << path;
  }
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup, Cgroup::Open(hierarchy, "/a//b/"));
  EXPECT_EQ(cgroup.path(), "/a/b");
}

TEST(CgroupPathTest, SliceNamesBecomePaths) {
  ASSERT_OK_AND_ASSIGN(std::string path,
                       SlicePath("kubepods-burstable-pod12_ab.slice"));
  EXPECT_EQ(path,
            "/kubepods.slice/kubepods-burstable.slice/"
            "kubepods-burstable-pod12_ab.slice");
  ASSERT_OK_AND_ASSIGN(path, SlicePath("-.slice"));
  EXPECT_EQ(path, "/");
  for (const char* odd : {"", ".slice", "a", "a.scope", "/a.slice",
                          "a--b.slice", "-a.slice", "a-.slice"}) {
    EXPECT_THAT(SlicePath(odd),
                HasStatus(absl::StatusCode::kInvalidArgument, odd));
  }
}

}  // namespace
}  // namespace serai::host
