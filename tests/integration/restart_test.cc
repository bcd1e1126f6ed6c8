// SPDX-License-Identifier: Apache-2.0
// seraid is replaced by another one, older or newer, after another boot, or
// while something of its pods does not answer.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr size_t kMaxRecord = 1 << 20;

class RestartTest : public OwnMachineTest {
 protected:
  std::string PodRecordOf(const TestNode::Running& run) const {
    return absl::StrCat(node_->root(), "/pods/", run.pod, ".json");
  }
  std::string ContainerRecordOf(const TestNode::Running& run) const {
    return absl::StrCat(node_->root(), "/containers/", run.container, ".json");
  }

  // Changes a record behind a daemon's back that does not run.
  void Edit(const std::string& path, const std::string& from,
            const std::string& to) {
    ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(path, kMaxRecord));
    ASSERT_THAT(text, HasSubstr(from));
    ASSERT_OK(
        WriteFileAtomic(path, absl::StrReplaceAll(text, {{from, to}}), 0600));
  }

  // What seraid logged from `from` on, as lines of a level.
  size_t Lines(const std::string& level, size_t from) const {
    const std::string log = node_->DaemonLog();
    size_t count = 0;
    for (size_t at = log.find(level, from); at != std::string::npos;
         at = log.find(level, at + 1)) {
      ++count;
    }
    return count;
  }

  cri::ContainerState StateOf(const TestNode::Running& run) {
    const auto status = node_->StatusOf(run.container);
    EXPECT_OK(status);
    return status.ok() ? status->state() : cri::CONTAINER_UNKNOWN;
  }
};

TEST_F(RestartTest, PodsOfANewerSeraidAreLeftRunning) {
  WarmUp();
  const LeakWatch watch(*node_);
  ASSERT_OK_AND_ASSIGN(const auto newer, node_->Run("newer", Web(0)));
  ASSERT_OK_AND_ASSIGN(const auto mixed, node_->Run("mixed", Web(1)));
  ASSERT_OK_AND_ASSIGN(const auto own, node_->Run("own", Web(0)));
  for (const auto& run : {newer, mixed, own}) {
    ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  }
  const std::string ours = "\"version\": 1";
  const std::string theirs = "\"version\": 2";
  node_->Stop(SIGTERM);
  Edit(PodRecordOf(newer), ours, theirs);
  Edit(ContainerRecordOf(mixed), ours, theirs);
  node_->Start();

  EXPECT_THAT(node_->Pods(), SizeIs(1));
  EXPECT_THAT(node_->Containers(), SizeIs(1));
  EXPECT_THAT(node_->DaemonLog(),
              HasSubstr("of version 2, written by a newer seraid; this one "
                        "reads versions up to 1"));
  // Nothing of theirs is touched, nor is a second pod made in their place.
  for (const auto& run : {newer, mixed}) {
    EXPECT_OK(HttpGet(run.ip, 80, "/"));
  }
  for (const char* name : {"newer", "mixed"}) {
    EXPECT_THAT(node_->RunPod(name),
                HasStatus(absl::StatusCode::kAlreadyExists, "newer seraid"));
  }
  EXPECT_TRUE(PathExists(PodRecordOf(newer)));
  EXPECT_TRUE(PathExists(ContainerRecordOf(mixed)));

  // The newer one again.
  node_->Stop(SIGTERM);
  Edit(PodRecordOf(newer), theirs, ours);
  Edit(ContainerRecordOf(mixed), theirs, ours);
  node_->Start();
  EXPECT_THAT(node_->Pods(), SizeIs(3));
  for (const auto& run : {newer, mixed, own}) {
    EXPECT_EQ(StateOf(run), cri::CONTAINER_RUNNING);
    EXPECT_OK(HttpGet(run.ip, 80, "/"));
    EXPECT_OK(node_->RemovePod(run.pod));
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

// The namespaces and cgroups of this one stay: it is the boot that differs.
TEST_F(RestartTest, ANodeThatWasRestartedStartsClean) {
  WarmUp();
  const LeakWatch watch(*node_);
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", Web(0)));
  TestNode::Running created;
  ASSERT_OK_AND_ASSIGN(created.pod, node_->RunPod("created"));
  ASSERT_OK_AND_ASSIGN(
      created.container,
      node_->Create(created.pod, node_->ContainerConfig(Web(1), {})));
  ASSERT_OK_AND_ASSIGN(std::string boot_id,
                       ReadFile("/proc/sys/kernel/random/boot_id", kMaxRecord));
  boot_id.pop_back();
  node_->Stop(SIGKILL);
  const size_t logged = node_->DaemonLog().size();
  for (const auto& run : {web, created}) {
    Edit(PodRecordOf(run), boot_id, "00000000-0000-4000-8000-000000000000");
  }
  node_->Start();

  for (const auto& run : {web, created}) {
    ASSERT_OK_AND_ASSIGN(const auto pod, node_->PodStatusOf(run.pod));
    EXPECT_EQ(pod.state(), cri::SANDBOX_NOTREADY);
    ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
    EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
    EXPECT_THAT(status.message(), HasSubstr("the node was restarted"));
  }
  // Their addresses are given back without being asked for.
  const std::string leases = JoinPath(node_->ipam_dir(), node_->bridge());
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (PathExists(JoinPath(leases, web.ip)) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_FALSE(PathExists(JoinPath(leases, web.ip)));
  EXPECT_EQ(Lines("[error]", logged), 0u) << node_->DaemonLog().substr(logged);
  EXPECT_EQ(Lines("the node was restarted: its 2 pods", logged), 1u);
  // The old ones' names are theirs until kubelet removes them.
  EXPECT_THAT(node_->RunPod("web"),
              HasStatus(absl::StatusCode::kAlreadyExists, "not ready"));
  for (const auto& run : {web, created}) EXPECT_OK(node_->RemovePod(run.pod));
  ASSERT_OK_AND_ASSIGN(const auto anew, node_->Run("web", Web(0)));
  EXPECT_OK(HttpGetRetried(anew.ip, 80, "/"));
  EXPECT_OK(node_->RemovePod(anew.pod));
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(RestartTest, ShimsThatDoNotAnswerAreWaitedForTogetherAndFoundAgain) {
  WarmUp();
  const LeakWatch watch(*node_);
  std::vector<TestNode::Running> runs;
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK_AND_ASSIGN(auto run, node_->Run(absl::StrCat("pod", i), Web(i)));
    ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
    runs.push_back(std::move(run));
  }
  node_->Stop(SIGKILL);
  std::vector<pid_t> stopped;
  for (size_t i = 0; i < 8; ++i) {
    stopped.push_back(ShimOf(runs[i]));
    ASSERT_GT(stopped.back(), 0);
    ASSERT_EQ(::kill(stopped.back(), SIGSTOP), 0);
  }
  (void)HttpGet(runs[0].ip, 80, "/exit?code=10");  // nobody hears of it
  (void)HttpGet(runs[9].ip, 80, "/exit?code=19");
  const absl::Time start = absl::Now();
  node_->Start();
  // Each of them alone would take a call's timeout.
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));

  EXPECT_THAT(node_->Pods(), SizeIs(10));
  for (size_t i = 1; i < 9; ++i) {
    EXPECT_EQ(StateOf(runs[i]), cri::CONTAINER_RUNNING) << i;
  }
  ASSERT_OK_AND_ASSIGN(const auto heard, node_->StatusOf(runs[9].container));
  EXPECT_EQ(heard.exit_code(), 19);
  // Other pods are made meanwhile.
  ASSERT_OK_AND_ASSIGN(const auto other, node_->Run("other", Web(0)));
  EXPECT_OK(HttpGetRetried(other.ip, 80, "/"));
  EXPECT_OK(node_->RemovePod(other.pod));

  for (const pid_t shim : stopped) ASSERT_EQ(::kill(shim, SIGCONT), 0);
  ASSERT_OK_AND_ASSIGN(const auto found, node_->WaitExited(runs[0].container));
  EXPECT_EQ(found.exit_code(), 10);
  (void)HttpGet(runs[1].ip, 80, "/exit?code=11");
  ASSERT_OK_AND_ASSIGN(const auto later, node_->WaitExited(runs[1].container));
  EXPECT_EQ(later.exit_code(), 11);
  for (const TestNode::Running& run : runs) {
    EXPECT_OK(node_->RemovePod(run.pod));
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

// With SERAI_RESTART_PODS=300, by hand, the node that we promise.
TEST_F(RestartTest, ManyPodsAreFoundQuicklyAndListedQuickly) {
  const char* wanted = std::getenv("SERAI_RESTART_PODS");
  const int pods = wanted == nullptr ? 16 : std::atoi(wanted);
  for (int i = 0; i < pods; ++i) {
    ASSERT_OK(node_->Run(absl::StrCat("pod", i), Web(i)));
  }
  node_->Stop(SIGKILL);
  const absl::Time start = absl::Now();
  node_->Start();
  const absl::Duration restart = absl::Now() - start;
  ASSERT_THAT(node_->Pods(), SizeIs(pods));
  for (const cri::Container& container : node_->Containers()) {
    EXPECT_EQ(container.state(), cri::CONTAINER_RUNNING);
  }
  std::vector<absl::Duration> lists;
  for (int i = 0; i < 200; ++i) {
    const absl::Time before = absl::Now();
    (void)node_->Pods();
    (void)node_->Containers();
    lists.push_back(absl::Now() - before);
  }
  std::sort(lists.begin(), lists.end());
  std::printf("%d pods: restart %s; both lists: median %s, p99 %s\n", pods,
              absl::FormatDuration(restart).c_str(),
              absl::FormatDuration(lists[100]).c_str(),
              absl::FormatDuration(lists[198]).c_str());
  EXPECT_LT(restart, absl::Seconds(10));
}

TEST_F(RestartTest, AStartThatWasNeverHeardOfKeepsItsTime) {
  TestNode::Running run;
  ASSERT_OK_AND_ASSIGN(run.pod, node_->RunPod("pod"));
  ASSERT_OK_AND_ASSIGN(
      run.container,
      node_->Create(run.pod, node_->ContainerConfig(Web(0), {})));
  node_->InjectFault("crash:container.start");
  const int64_t before = absl::GetCurrentTimeNanos();
  EXPECT_THAT(node_->StartContainer(run.container),
              HasStatus(absl::StatusCode::kUnavailable, ""));
  const int64_t after = absl::GetCurrentTimeNanos();
  absl::SleepFor(absl::Milliseconds(200));
  node_->Stop(SIGKILL);
  node_->InjectFault("");
  node_->Start();
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
  EXPECT_EQ(status.state(), cri::CONTAINER_RUNNING);
  EXPECT_GE(status.started_at(), before);
  EXPECT_LE(status.started_at(), after);
}

}  // namespace
}  // namespace serai::testing
