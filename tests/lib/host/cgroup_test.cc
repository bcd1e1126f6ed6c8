// SPDX-License-Identifier: Apache-2.0
// Control groups of the machine's own kind, v1 or v2, below a path of the
// test's own.
#include "lib/host/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/waiting_child.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using Child = ::serai::testing::WaitingChild;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Runs on the machine's main hierarchy.
class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("cgroup");
    ASSERT_OK_AND_ASSIGN(hierarchy_, CgroupHierarchy::Detect());
  }

  void TearDown() override {
    if (!hierarchy_) return;
    auto top = Cgroup::Open(*hierarchy_, top_);
    ASSERT_OK(top);
    EXPECT_OK(top->KillAll());
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    EXPECT_OK(top->Remove());
    EXPECT_FALSE(top->Exists());
  }

  std::string Path(const std::string& name) const {
    return absl::StrCat(top_, "/", name);
  }

  std::optional<CgroupHierarchy> hierarchy_;
  std::string top_ = absl::StrCat("/serai-test-", ::getpid());
};

TEST_F(CgroupTest, IsMadeWithItsParentsAndRemovedAlone) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("pod/app")));
  EXPECT_TRUE(cgroup.Exists());
  EXPECT_EQ(cgroup.made().size(), hierarchy_->Roots().size() * 3);
  EXPECT_THAT(cgroup.Processes(), ::testing::Truly([](const auto& pids) {
                return pids.ok() && pids->empty();
              }));
  EXPECT_OK(cgroup.Remove());
  EXPECT_FALSE(cgroup.Exists());
  EXPECT_OK(cgroup.Remove());
  ASSERT_OK_AND_ASSIGN(const Cgroup pod,
                       Cgroup::Open(*hierarchy_, Path("pod")));
  EXPECT_TRUE(pod.Exists());
  EXPECT_OK(RemoveMade(cgroup.made()));
  EXPECT_FALSE(pod.Exists());
}

TEST_F(CgroupTest, SecondCreateTakesWhatIsThere) {
  ASSERT_OK_AND_ASSIGN(const Cgroup first,
                       Cgroup::Create(*hierarchy_, Path("app")));
  ASSERT_OK_AND_ASSIGN(const Cgroup second,
                       Cgroup::Create(*hierarchy_, Path("app")));
  EXPECT_THAT(second.made(), IsEmpty());
}

TEST_F(CgroupTest, LimitsAreTakenByTheKernel) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  CgroupLimits limits;
  limits.memory_bytes = 64 << 20;
  limits.cpu_quota_us = 50'000;
  limits.cpu_period_us = 100'000;
  limits.cpu_shares = 512;
  limits.cpuset_cpus = "0";
  limits.cpuset_mems = "0";
  limits.pids_max = 10;
  EXPECT_OK(cgroup.SetLimits(limits));
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, cgroup.Usage());
  EXPECT_EQ(usage.memory_limit_bytes, uint64_t{64} << 20);
  // A second time, with another period, and lifted.
  limits.memory_bytes = -1;
  limits.cpu_quota_us = -1;
  limits.cpu_period_us = 20'000;
  limits.pids_max = -1;
  EXPECT_OK(cgroup.SetLimits(limits));
  ASSERT_OK_AND_ASSIGN(usage, cgroup.Usage());
  EXPECT_EQ(usage.memory_limit_bytes, std::nullopt);
}

TEST_F(CgroupTest, RefusedLimitNamesFileAndCgroup) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  CgroupLimits limits;
  limits.cpuset_cpus = "none";
  EXPECT_THAT(cgroup.SetLimits(limits),
              HasStatus(absl::StatusCode::kInvalidArgument, "cpuset.cpus"));
}

TEST_F(CgroupTest, ProcessIsCountedInItsCgroup) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  Child child([] {
    constexpr size_t kBytes = 8 << 20;
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(memory, 1, kBytes);
    for (;;) ::pause();
  });
  ASSERT_OK(cgroup.AddProcess(child.pid()));
  ASSERT_OK_AND_ASSIGN(const auto pids, cgroup.Processes());
  EXPECT_THAT(pids, ElementsAre(child.pid()));
  child.Go();
  // The kernel gathers the counters with some delay.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  CgroupUsage usage;
  while (usage.rss_bytes < 8 << 20 && absl::Now() < deadline) {
    ASSERT_OK_AND_ASSIGN(usage, cgroup.Usage());
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_GE(usage.rss_bytes, uint64_t{8} << 20);
  EXPECT_GE(usage.memory_bytes, usage.rss_bytes);
  EXPECT_GE(usage.working_set_bytes, usage.rss_bytes);
  EXPECT_GE(usage.page_faults, 1u);
  EXPECT_GT(usage.cpu_ns, 0u);
  EXPECT_EQ(usage.oom_kills, 0u);
  EXPECT_EQ(usage.pids, 1u);
}

TEST_F(CgroupTest, OomKillIsCounted) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  CgroupLimits limits;
  limits.memory_bytes = 16 << 20;
  ASSERT_OK(cgroup.SetLimits(limits));
  Child child([] {
    constexpr size_t kBytes = 64 << 20;
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::mlock(memory, kBytes);
    std::memset(memory, 1, kBytes);
  });
  ASSERT_OK(cgroup.AddProcess(child.pid()));
  child.Go();
  const int status = child.Reap();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  ASSERT_OK_AND_ASSIGN(const CgroupUsage usage, cgroup.Usage());
  EXPECT_EQ(usage.oom_kills, 1u);
}

TEST_F(CgroupTest, KillAllEndsEveryProcessAlsoBelow) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  ASSERT_OK_AND_ASSIGN(const Cgroup inner,
                       Cgroup::Create(*hierarchy_, Path("app/inner")));
  ASSERT_OK_AND_ASSIGN(const Cgroup other,
                       Cgroup::Create(*hierarchy_, Path("other")));
  Child direct;
  Child below;
  Child bystander;
  ASSERT_OK(inner.AddProcess(direct.pid()));
  ASSERT_OK(inner.AddProcess(below.pid()));
  ASSERT_OK(other.AddProcess(bystander.pid()));
  EXPECT_OK(cgroup.KillAll());
  EXPECT_EQ(WTERMSIG(direct.Reap()), SIGKILL);
  EXPECT_EQ(WTERMSIG(below.Reap()), SIGKILL);
  EXPECT_EQ(::waitpid(bystander.pid(), nullptr, WNOHANG), 0);
  EXPECT_OK(cgroup.Remove());
  EXPECT_FALSE(inner.Exists());
}

TEST_F(CgroupTest, RemoveOfACgroupInUseFailsInTheEnd) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  const Child child;
  ASSERT_OK(cgroup.AddProcess(child.pid()));
  EXPECT_THAT(cgroup.Remove(),
              HasStatus(absl::StatusCode::kFailedPrecondition, "rmdir"));
}

TEST_F(CgroupTest, AddOfANonexistentProcessFails) {
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(*hierarchy_, Path("app")));
  pid_t pid = 0;
  {
    const Child child;
    pid = child.pid();
  }
  EXPECT_THAT(cgroup.AddProcess(pid),
              HasStatus(absl::StatusCode::kNotFound, "moving process"));
}

// The true v2 of a hybrid machine has no controllers, but all of the rest.
TEST(CgroupUnifiedTest, CloneIntoCgroupAndCgroupKill) {
  SERAI_NEED("root");
  std::string root;
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs fs = {};
    if (::statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC &&
        ::access(path, W_OK) == 0) {
      root = path;
    }
  }
  if (root.empty()) GTEST_SKIP() << "no writable cgroup v2 is mounted";
  const CgroupHierarchy hierarchy = CgroupHierarchy::V2(root);
  const std::string path = absl::StrCat("/serai-test-", ::getpid());
  ASSERT_OK_AND_ASSIGN(const Cgroup cgroup,
                       Cgroup::Create(hierarchy, path + "/app"));
  ASSERT_OK_AND_ASSIGN(const UniqueFd dir, cgroup.OpenDirectory());
  clone_args args = {};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<__u64>(dir.get());
  const auto pid =
      static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof(args)));
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    for (;;) ::pause();
  }
  ASSERT_OK_AND_ASSIGN(const auto pids, cgroup.Processes());
  EXPECT_THAT(pids, ElementsAre(pid));
  EXPECT_OK(cgroup.KillAll());
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_OK(cgroup.Remove());
  EXPECT_OK(RemoveMade(cgroup.made()));
  EXPECT_FALSE(PathExists(root + path));
}

TEST(CgroupHierarchyTest, DetectOfAPlainDirectoryIsNotFound) {
  EXPECT_THAT(CgroupHierarchy::Detect("/tmp"),
              HasStatus(absl::StatusCode::kNotFound, "/tmp"));
}

TEST(CgroupHierarchyTest, ControllersOfOneMountAreOneRoot) {
  const CgroupHierarchy hierarchy = CgroupHierarchy::V1(
      {{"cpu", "/x/cpu,cpuacct"}, {"cpuacct", "/x/cpu,cpuacct"}});
  EXPECT_THAT(hierarchy.Roots(), ElementsAre("/x/cpu,cpuacct"));
  EXPECT_EQ(hierarchy.RootOf("memory"), "");
}

}  // namespace
}  // namespace serai::host
