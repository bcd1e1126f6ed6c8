// SPDX-License-Identifier: Apache-2.0
// containerd, shims and tenders die: what ran goes on or is known to have
// ended, and nothing is left of what was half made.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/http_get.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_containerd.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Running = CriClient::Running;

constexpr int kPods = 20;
constexpr int kRounds = 8;

class CrashTest : public ContainerdTest {
 protected:
  void SetUp() override {
    ContainerdTest::SetUp();
    if (containerd_ == nullptr || HasFatalFailure()) return;
    ASSERT_OK_AND_ASSIGN(web_, containerd_->ImportGuests("web", {"web.spt"}));
    // The first pod leaves a bridge and directories.
    ASSERT_OK_AND_ASSIGN(const Running first, containerd_->Run("first", web_));
    ASSERT_OK(HttpGetRetried(first.ip, 80, "/"));
    ASSERT_OK(containerd_->RemovePod(first.pod));
  }

  void ExpectServing(const Running& run) {
    EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
    const auto status = containerd_->StatusOf(run.container);
    ASSERT_OK(status);
    EXPECT_EQ(status->state(), cri::CONTAINER_RUNNING);
    const auto pod = containerd_->PodStatusOf(run.pod);
    ASSERT_OK(pod);
    EXPECT_EQ(pod->state(), cri::SANDBOX_READY);
  }

  // As kubelet does with pods it does not know: stops and removes them.
  void RemoveOthers(const std::set<std::string>& known) {
    for (const cri::PodSandbox& pod : containerd_->Pods()) {
      if (known.count(pod.id()) != 0) continue;
      EXPECT_OK(containerd_->StopPod(pod.id()));
      EXPECT_OK(containerd_->RemovePod(pod.id()));
    }
  }

  std::string web_;
};

TEST_F(CrashTest, PodsSurviveContainerdAndTheHalfMadeOneIsGone) {
  std::vector<Running> runs;
  std::set<std::string> pods;
  for (int i = 0; i < kPods; ++i) {
    ASSERT_OK_AND_ASSIGN(Running run,
                         containerd_->Run(absl::StrCat("pod", i), web_));
    pods.insert(run.pod);
    runs.push_back(std::move(run));
  }
  for (const Running& run : runs) ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  const Snapshot before = containerd_->TakeSnapshot();

  std::atomic<int> half_made = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    std::thread creator([&] {
      const auto run = containerd_->Run(absl::StrCat("half", round), web_);
      if (!run.ok()) ++half_made;
    });
    // Each time a little further on its way.
    absl::SleepFor(absl::Milliseconds(10 + 20 * round));
    containerd_->KillNow();
    creator.join();
    EXPECT_OK(HttpGet(runs.front().ip, 80, "/"));
    containerd_->Stop(SIGKILL);
    containerd_->Start();
    for (const Running& run : runs) ExpectServing(run);
    RemoveOthers(pods);
    EXPECT_EQ(containerd_->Pods().size(), runs.size());
  }
  EXPECT_GT(half_made, 0);
  // A shim whose start containerd didn't live to see ends by itself when it has
  // had no task for a minute; its bundle goes when containerd starts again.
  containerd_->Stop(SIGKILL);
  containerd_->Start();
  std::vector<std::string> leaks;
  for (int wait = 0; wait < 8; ++wait) {
    leaks = containerd_->LeaksSince(before);
    // containerd makes a namespace before it notes it.
    leaks.erase(std::remove_if(leaks.begin(), leaks.end(),
                               [](const std::string& leak) {
                                 return absl::StrContains(leak, "/netns/cni-");
                               }),
                leaks.end());
    if (leaks.empty()) break;
  }
  EXPECT_THAT(leaks, IsEmpty());
  for (const Running& run : runs) EXPECT_OK(containerd_->RemovePod(run.pod));
}

TEST_F(CrashTest, AGuestThatEndsWhileContainerdIsAwayIsKnown) {
  ASSERT_OK_AND_ASSIGN(const Running run, containerd_->Run("away", web_));
  ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  containerd_->Stop(SIGKILL);
  (void)HttpGet(run.ip, 80, "/exit?code=5");
  containerd_->Start();
  ASSERT_OK_AND_ASSIGN(const auto status,
                       containerd_->WaitExited(run.container));
  EXPECT_EQ(status.exit_code(), 5);
  EXPECT_OK(containerd_->RemovePod(run.pod));
}

TEST_F(CrashTest, AShimThatDiesTakesItsPodOnly) {
  const Snapshot before = containerd_->TakeSnapshot();
  ASSERT_OK_AND_ASSIGN(const Running dies, containerd_->Run("dies", web_));
  ASSERT_OK_AND_ASSIGN(const Running lives, containerd_->Run("lives", web_));
  ASSERT_OK(HttpGetRetried(dies.ip, 80, "/"));
  ASSERT_OK(HttpGetRetried(lives.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const pid_t shim, containerd_->ShimOf(dies.pod, true));
  ASSERT_EQ(::kill(shim, SIGKILL), 0);
  ASSERT_OK_AND_ASSIGN(const auto status,
                       containerd_->WaitExited(dies.container));
  EXPECT_NE(status.exit_code(), 0);  // the shim alone knew it
  EXPECT_FALSE(HttpGet(dies.ip, 80, "/").ok());
  ExpectServing(lives);
  EXPECT_OK(containerd_->StopPod(dies.pod));
  EXPECT_OK(containerd_->RemovePod(dies.pod));
  EXPECT_OK(containerd_->RemovePod(lives.pod));
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

TEST_F(CrashTest, ATenderThatDiesIsAContainerThatEnded) {
  const Snapshot before = containerd_->TakeSnapshot();
  ASSERT_OK_AND_ASSIGN(const Running run, containerd_->Run("tender", web_));
  ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const pid_t tender,
                       containerd_->TaskPid(run.container, true));
  ASSERT_EQ(::kill(tender, SIGKILL), 0);
  ASSERT_OK_AND_ASSIGN(const auto status,
                       containerd_->WaitExited(run.container));
  EXPECT_EQ(status.exit_code(), 128 + SIGKILL);
  // The pod is as good as before.
  auto config = containerd_->ContainerConfig(web_, {});
  config.mutable_metadata()->set_attempt(1);
  ASSERT_OK_AND_ASSIGN(const std::string again,
                       containerd_->Create(run.pod, config));
  ASSERT_OK(containerd_->StartContainer(again));
  EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
  EXPECT_OK(containerd_->RemovePod(run.pod));
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

}  // namespace
}  // namespace serai::testing
