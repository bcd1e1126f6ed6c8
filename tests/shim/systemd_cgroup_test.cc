// SPDX-License-Identifier: Apache-2.0
// A task's cgroup as a scope of the systemd that runs the machine.
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "lib/base/subprocess.h"
#include "lib/host/cgroup_membership.h"
#include "shim/oom_watch.h"
#include "tests/shim/task_cgroup_fixture.h"
#include "tests/support/waiting_child.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::WaitingChild;

class SystemdCgroupTest : public TaskCgroupTest {
 protected:
  void SetUp() override {
    SERAI_NEED("systemd");
    TaskCgroupTest::SetUp();
  }
  void TearDown() override {
    if (!hierarchy_) return;
    RunUntil([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; });
    EXPECT_FALSE(IsKnown());
    ASSERT_OK_AND_ASSIGN(const auto cgroup,
                         host::Cgroup::Open(*hierarchy_, ScopePath()));
    EXPECT_FALSE(cgroup.Exists());
    TaskCgroupTest::TearDown();
  }

  std::string Name() const { return absl::StrCat("x", ::getpid()); }
  std::string Unit() const {
    return absl::StrCat("serai-test-", Name(), ".scope");
  }
  std::string ScopePath() const { return "/seraitest.slice/" + Unit(); }

  // What `systemctl show` says of the property.
  std::string Show(const std::string& property) {
    SubprocessSpec spec;
    spec.program = "/usr/bin/systemctl";
    spec.args = {"show", "--value", "--property=" + property, Unit()};
    const auto result = RunSubprocess(spec);
    return result.ok() ? result->output : result.status().ToString();
  }
  bool IsKnown() { return Show("LoadState") != "not-found\n"; }

  absl::StatusOr<std::unique_ptr<TaskCgroup>> MakeScope(
      const host::CgroupLimits& limits = {}) {
    return TaskCgroup::Make(
        *loop_, absl::StrCat("seraitest.slice:serai-test:", Name()), limits);
  }
};

TEST_F(SystemdCgroupTest, ScopeHasTheProcessAndTheLimits) {
  host::CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.cpu_shares = 1024;
  limits.cpu_quota_us = 25'000;
  limits.cpu_period_us = 50'000;
  limits.pids_max = 9;
  limits.cpuset_cpus = "0";
  ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope(limits));
  EXPECT_TRUE(cgroup->needs_admission());
  EXPECT_FALSE(cgroup->cgroup().Exists());
  EXPECT_EQ(cgroup->record().scope, Unit());
  WaitingChild child;
  ASSERT_OK(Admit(*cgroup, child.pid()));
  EXPECT_EQ(cgroup->record().path, ScopePath());
  EXPECT_THAT(cgroup->cgroup().Processes(), ::testing::Truly([&](auto& pids) {
                return pids.ok() && *pids == std::vector{child.pid()};
              }));
  ASSERT_OK_AND_ASSIGN(const auto usage, cgroup->cgroup().Usage());
  EXPECT_EQ(usage.memory_limit_bytes, 64 * kMiB);
  EXPECT_EQ(usage.pids, 1u);
  EXPECT_EQ(Show("ActiveState"), "active\n");
  EXPECT_EQ(Show("Slice"), "seraitest.slice\n");
  EXPECT_EQ(Show("TasksMax"), "9\n");
  EXPECT_EQ(Show("CPUQuotaPerSecUSec"), "500ms\n");
  if (hierarchy_->is_v2()) {
    EXPECT_EQ(Show("MemoryMax"), "67108864\n");
    EXPECT_EQ(Show("CPUWeight"), "39\n");
    EXPECT_EQ(Show("AllowedCPUs"), "0\n");
    const auto max = cgroup->cgroup().Files("").Lines("cpu.max");
    EXPECT_EQ(max, (std::vector<std::vector<std::string>>{{"25000", "50000"}}));
  } else {
    EXPECT_EQ(Show("MemoryLimit"), "67108864\n");
  }
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(cgroup->Remove());
}

TEST_F(SystemdCgroupTest, UpdateReachesKernelAndSystemd) {
  ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope());
  WaitingChild child;
  ASSERT_OK(Admit(*cgroup, child.pid()));
  host::CgroupLimits limits;
  limits.pids_max = 11;
  EXPECT_OK(Update(*cgroup, limits));
  EXPECT_EQ(Show("TasksMax"), "11\n");
  EXPECT_EQ(cgroup->cgroup().Files("pids").Number("pids.max"), 11u);
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(cgroup->Remove());
}

TEST_F(SystemdCgroupTest, LimitsOutliveAReload) {
  host::CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope(limits));
  WaitingChild child;
  ASSERT_OK(Admit(*cgroup, child.pid()));
  SubprocessSpec reload;
  reload.program = "/usr/bin/systemctl";
  reload.args = {"daemon-reload"};
  ASSERT_OK(RunSubprocess(reload));
  ASSERT_OK_AND_ASSIGN(const auto usage, cgroup->cgroup().Usage());
  EXPECT_EQ(usage.memory_limit_bytes, 64 * kMiB);
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(cgroup->Remove());
}

TEST_F(SystemdCgroupTest, DeadProcessIsAnError) {
  ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope());
  pid_t pid = 0;
  {
    const WaitingChild child;
    pid = child.pid();
  }
  EXPECT_THAT(
      Admit(*cgroup, pid),
      HasStatus(absl::StatusCode::kUnavailable,
                Unit() + ": systemd's StartTransientUnit: Call failed"));
  EXPECT_OK(cgroup->Remove());
}

TEST_F(SystemdCgroupTest, RecordedScopeIsEmptiedAndRemoved) {
  ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope());
  WaitingChild child;
  ASSERT_OK(Admit(*cgroup, child.pid()));
  const TaskCgroup::Record record = cgroup->record();
  EXPECT_OK(TaskCgroup::RemoveRecorded(record));
  EXPECT_EQ(WTERMSIG(child.Reap()), SIGKILL);
  EXPECT_OK(TaskCgroup::RemoveRecorded(record));
}

TEST_F(SystemdCgroupTest, ScopeOfTheSameNameFollowsAtOnce) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope());
    WaitingChild child;
    SCOPED_TRACE(round);
    ASSERT_OK(Admit(*cgroup, child.pid()));
    EXPECT_OK(TaskCgroup::RemoveRecorded(cgroup->record()));
    child.Reap();
  }
}

TEST_F(SystemdCgroupTest, OomIsToldOfAScope) {
  host::CgroupLimits limits;
  limits.memory_bytes = 16 * kMiB;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, MakeScope(limits));
  WaitingChild child([] { Touch(64 * kMiB); });
  ASSERT_OK(Admit(*cgroup, child.pid()));
  int told = 0;
  OomWatch watch(*loop_, cgroup->cgroup(), [&] { ++told; });
  child.Go();
  // systemd may be the first.
  EXPECT_TRUE(RunUntil([&] {
    siginfo_t ended = {};
    ::waitid(P_PID, static_cast<id_t>(child.pid()), &ended,
             WEXITED | WNOHANG | WNOWAIT);
    return ended.si_pid != 0;
  }));
  EXPECT_EQ(WTERMSIG(child.Reap()), SIGKILL);
  watch.Finish(true);
  EXPECT_EQ(told, 1);
  EXPECT_OK(cgroup->Remove());
}

}  // namespace
}  // namespace serai::shim
