// SPDX-License-Identifier: Apache-2.0
// The shim with real tenders and guests: the life of tasks.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::PodShim;
using ::serai::testing::TaskStats;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kNotFound = absl::StatusCode::kNotFound;
constexpr auto kWrongState = absl::StatusCode::kFailedPrecondition;

bool CgroupExists(const std::string& path) {
  const auto hierarchy = host::CgroupHierarchy::Detect();
  return hierarchy.ok() && host::Cgroup::Open(*hierarchy, path)->Exists();
}

class TaskTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (GetParam() == "hvt") SERAI_NEED("kvm");
  }
  // The guest's file for the target under test.
  static std::string Guest(const std::string& name) {
    return absl::StrCat(name, ".", GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, TaskTest, ::testing::Values("spt", "hvt"),
                         [](const auto& param) { return param.param; });

TEST_P(TaskTest, RunsFromCreateToDelete) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("hello"), {"x y", "z"})));
  ASSERT_OK_AND_ASSIGN(auto state, shim.State("a"));
  EXPECT_EQ(state.status(), task::TASK_CREATED);
  const uint32_t pid = state.pid();
  EXPECT_TRUE(CgroupExists(shim.CgroupPath("a")));

  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(99), 0U);
  ASSERT_OK_AND_ASSIGN(state, shim.State("a"));
  EXPECT_EQ(state.status(), task::TASK_STOPPED);
  EXPECT_EQ(state.pid(), pid);
  EXPECT_GT(state.exited_at().seconds(), 1700000000);
  EXPECT_THAT(shim.LogText("a", "stdout"),
              HasSubstr("command line: x\\ y z\n"));
  EXPECT_EQ(shim.Info("a")->target(), GetParam());

  ASSERT_OK_AND_ASSIGN(const auto deleted, shim.Delete("a"));
  EXPECT_EQ(deleted.pid(), state.pid());
  EXPECT_EQ(deleted.exit_status(), 0U);
  EXPECT_EQ(deleted.exited_at().seconds(), state.exited_at().seconds());
  EXPECT_FALSE(CgroupExists(shim.CgroupPath("a")));
  EXPECT_FALSE(CgroupExists("/" + shim.unique()));
  EXPECT_THAT(*ListDir(shim.BundlePath("a")), ElementsAre("config.json"));
  EXPECT_THAT(shim.State("a"), HasStatus(kNotFound, "there is no task a"));
  EXPECT_OK(shim.Shutdown(false));
  EXPECT_TRUE(shim.Ended());
  EXPECT_FALSE(PathExists(shim.socket_path()));
}

TEST_P(TaskTest, HoldsATenderThatIsInJail) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("spin"), {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  ASSERT_TRUE(shim.WaitForLog("a", "spin"));
  const std::string process =
      absl::StrCat("/proc/", shim.State("a")->pid(), "/");
  ASSERT_OK_AND_ASSIGN(const std::string status,
                       ReadFile(process + "status", 1 << 16));
  EXPECT_THAT(status, HasSubstr("Uid:\t65533\t65533\t65533\t65533\n"));
  EXPECT_THAT(status, HasSubstr("Gid:\t65533\t65533\t65533\t65533\n"));
  EXPECT_THAT(status, HasSubstr("Groups:\t \n"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000\n"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2\n"));
  EXPECT_FALSE(PathExists(process + "root/etc"));
  ASSERT_OK(shim.Kill("a", SIGKILL));
  EXPECT_EQ(shim.Wait("a").value_or(0), 128U + SIGKILL);
}

TEST_P(TaskTest, ExitStatusIsTheGuests) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("exit"), {"--status=7"})));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(99), 7U);
}

TEST_P(TaskTest, SignalsEndARunningOne) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("spin"), {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.State("a")->status(), task::TASK_RUNNING);
  EXPECT_THAT(shim.Delete("a"), HasStatus(kWrongState, "running"));
  EXPECT_THAT(shim.Start("a"), HasStatus(kWrongState, "started before"));
  EXPECT_THAT(shim.Kill("a", 99),
              HasStatus(absl::StatusCode::kInvalidArgument, "no signal"));
  ASSERT_OK(shim.Kill("a", SIGTERM));
  EXPECT_EQ(shim.Wait("a").value_or(0), 128U + SIGTERM);
  EXPECT_THAT(shim.Kill("a", SIGTERM), HasStatus(kNotFound, "has ended"));
  EXPECT_THAT(shim.Start("a"), HasStatus(kWrongState, "started before"));

  ASSERT_OK(shim.Create("b", shim.Spec("b", Guest("spin"), {"--idle"})));
  ASSERT_OK(shim.Start("b"));
  ASSERT_OK(shim.Kill("b", SIGKILL));
  EXPECT_EQ(shim.Wait("b").value_or(0), 128U + SIGKILL);
}

TEST_P(TaskTest, TheTenderHasOnlyItsOwnDescriptorsAndItsCgroup) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("spin"), {"--idle"})));
  ASSERT_OK(shim.Start("a"));
  ASSERT_TRUE(shim.WaitForLog("a", "spin: idle"));
  const std::string proc = absl::StrCat("/proc/", shim.State("a")->pid());
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> fds,
                       ListDir(proc + "/fd"));
  EXPECT_GE(fds.size(), 3U);
  std::set<std::string> sockets;
  for (const std::string& fd : fds) {
    std::string target(256, '\0');
    const ssize_t n = ::readlink(JoinPath(proc + "/fd", fd).c_str(),
                                 target.data(), target.size());
    target.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (absl::StartsWith(target, "socket:")) sockets.insert(target);
    EXPECT_FALSE(absl::StrContains(target, "shim.log")) << fd << target;
    EXPECT_FALSE(absl::StrContains(target, ".log")) << fd << target;
    EXPECT_FALSE(absl::StrContains(target, "signalfd")) << fd << target;
  }
  // That by which an hvt tender is handed a snapshot's directory.
  EXPECT_EQ(sockets.size(), GetParam() == "hvt" ? 1U : 0U);
  ASSERT_OK_AND_ASSIGN(const std::string cgroups,
                       ReadFile(proc + "/cgroup", 1 << 16));
  EXPECT_THAT(cgroups, HasSubstr(shim.CgroupPath("a")));
  ASSERT_OK_AND_ASSIGN(const std::string environment,
                       ReadFile(proc + "/environ", 1 << 16));
  EXPECT_EQ(environment, "");
  EXPECT_EQ(ReadFile(proc + "/oom_score_adj", 64).value_or(""), "0\n");
}

// Both kinds of guest tell what ended them; an spt guest's fault is the
// kernel's word.
TEST_P(TaskTest, SaysWhatEndedTheGuest) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("exit"), {"--status=9"})));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(99), 9U);
  EXPECT_EQ(shim.Info("a")->ending(), "exit");

  ASSERT_OK(shim.Create("b", shim.Spec("b", Guest("crash"), {"--how=null"})));
  ASSERT_OK(shim.Start("b"));
  const uint32_t crashed = GetParam() == "spt" ? 128U + SIGSEGV : 255U;
  EXPECT_EQ(shim.Wait("b").value_or(99), crashed);
  EXPECT_EQ(shim.Info("b")->ending(), GetParam() == "spt" ? "fault" : "abort");

  ASSERT_OK(shim.Create("c", shim.Spec("c", Guest("spin"))));
  ASSERT_OK(shim.Start("c"));
  ASSERT_TRUE(shim.WaitForLog("c", "spinning"));
  ASSERT_OK(shim.Kill("c", SIGKILL));
  EXPECT_EQ(shim.Wait("c").value_or(99), 128U + SIGKILL);
  EXPECT_EQ(shim.Info("c")->ending(), "killed");
}

TEST_P(TaskTest, StatsAreTheCgroups) {
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("a", Guest("spin"));
  spec.resources.memory_limit = 64 << 20;
  ASSERT_OK(shim.Create("a", spec));
  ASSERT_OK(shim.Start("a"));
  ASSERT_TRUE(shim.WaitForLog("a", "spinning"));
  // On a busy machine it takes a while to get so much of the processor.
  ASSERT_OK_AND_ASSIGN(TaskStats stats, shim.Stats("a"));
  for (int i = 0; i < 200 && stats.cpu_ns <= 10'000'000; ++i) {
    absl::SleepFor(absl::Milliseconds(50));
    ASSERT_OK_AND_ASSIGN(stats, shim.Stats("a"));
  }
  EXPECT_GT(stats.cpu_ns, 10'000'000U);
  EXPECT_GT(stats.memory_bytes, 0U);
  EXPECT_GT(stats.working_set_bytes, 0U);
  EXPECT_EQ(stats.memory_limit_bytes, 64U << 20);
  EXPECT_GE(stats.pids, 1U);
}

TEST_P(TaskTest, AGuestThatOutgrowsItsCgroupIsSaidToBeOomKilled) {
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("a", Guest("hog"));
  spec.guest_memory = 128 << 20;
  spec.resources.memory_limit = 32 << 20;
  ASSERT_OK(shim.Create("a", spec));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(0), 128U + SIGKILL);
  ASSERT_OK_AND_ASSIGN(const v1::InfoResponse info, shim.Info("a"));
  EXPECT_TRUE(info.oom_killed());

  ASSERT_OK(shim.Create("b", shim.Spec("b", Guest("spin"))));
  ASSERT_OK(shim.Start("b"));
  ASSERT_OK(shim.Kill("b", SIGKILL));
  EXPECT_EQ(shim.Wait("b").value_or(0), 128U + SIGKILL);
  EXPECT_FALSE(shim.Info("b")->oom_killed());
}

TEST_P(TaskTest, AFloodIsLoggedWholeAndStarvesNobody) {
  PodShim shim;
  // A console line costs an hvt guest a trip through the kernel's emulator.
  const int lines = GetParam() == "spt" ? 200'000 : 5'000;
  ASSERT_OK(shim.Create(
      "a", shim.Spec("a", Guest("flood"), {absl::StrCat("--lines=", lines)})));
  ASSERT_OK(shim.Start("a"));
  absl::Duration longest = absl::ZeroDuration();
  int calls = 0;
  while (shim.State("a")->status() == task::TASK_RUNNING) {
    const absl::Time before = absl::Now();
    ASSERT_OK(shim.State("a"));
    longest = std::max(longest, absl::Now() - before);
    ++calls;
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_LT(longest, absl::Seconds(1));
  EXPECT_GT(calls, 3);
  const std::string text = shim.LogText("a", "stdout");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), lines);
  EXPECT_EQ(shim.Info("a")->log_lines_dropped(), 0U);
}

TEST_P(TaskTest, ALongLineIsSplitAndAnUnfinishedOneKept) {
  PodShim shim;
  ASSERT_OK(shim.Create(
      "a", shim.Spec("a", Guest("flood"),
                     {"--lines=1", "--bytes=40000", "--no-newline"})));
  ASSERT_OK(shim.Start("a"));
  EXPECT_EQ(shim.Wait("a").value_or(99), 0U);
  ASSERT_OK_AND_ASSIGN(const std::string log,
                       ReadFile(shim.LogPath("a"), 1 << 20));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3);
  EXPECT_EQ(shim.LogText("a", "stdout").size(), 40000U);
  struct stat st = {};
  ASSERT_EQ(::stat(shim.LogPath("a").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0640U);
}

TEST_P(TaskTest, ALogIsReopenedOnlyWhenItCanBe) {
  PodShim shim;
  ASSERT_OK(shim.Create("a", shim.Spec("a", Guest("spin"), {"--idle"})));
  const std::string path = shim.LogPath("a");
  ASSERT_EQ(::rename(path.c_str(), (path + ".1").c_str()), 0);
  ASSERT_OK(MakeDirs(path));
  EXPECT_FALSE(shim.ReopenLog("a").ok());
  ASSERT_OK(RemovePath(path));
  ASSERT_OK(shim.ReopenLog("a"));
  ASSERT_OK(shim.Start("a"));
  EXPECT_TRUE(shim.WaitForLog("a", "spin: idle"));
  EXPECT_EQ(ReadFile(path + ".1", 100).value_or("?"), "");
  EXPECT_THAT(shim.ReopenLog("b"), HasStatus(kNotFound, "no task b"));
}

TEST_P(TaskTest, ManyInOnePodRunBesideEachOther) {
  PodShim shim;
  const std::vector<std::string> ids = {"a", "b", "c", "d"};
  std::vector<std::future<uint32_t>> ends;
  for (const std::string& id : ids) {
    ASSERT_OK(shim.Create(id, shim.Spec(id, Guest("spin"), {"--idle"})));
    ASSERT_OK(shim.Start(id));
    task::WaitRequest request;
    request.set_id(id);
    auto end = std::make_shared<std::promise<uint32_t>>();
    ends.push_back(end->get_future());
    shim.client().CallAsync(
        ttrpc::kTaskServiceV3, "Wait", request.SerializeAsString(),
        [end](absl::StatusOr<std::string> answer) {
          end->set_value(answer.ok()
                             ? ttrpc::ParseAnswer<task::WaitResponse>(*answer)
                                   ->exit_status()
                             : 999);
        });
  }
  for (const std::string& id : ids) ASSERT_OK(shim.Kill(id, SIGKILL));
  for (auto& end : ends) EXPECT_EQ(end.get(), 128U + SIGKILL);
  // With tasks left, a Shutdown is answered and nothing more.
  EXPECT_OK(shim.Shutdown(false));
  for (const std::string& id : ids) EXPECT_OK(shim.Delete(id));
  EXPECT_OK(shim.Shutdown(false));
  EXPECT_TRUE(shim.Ended());
}

}  // namespace
}  // namespace serai::shim
