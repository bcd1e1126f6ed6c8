// SPDX-License-Identifier: Apache-2.0
// A pod's shim that is asked for something does not answer, and does later what
// it was asked for: nothing that is said of its containers stays untrue, and
// nothing of them is in the way.
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

class StuckShimTest : public OwnMachineTest {
 protected:
  TestNode::Running Created(const std::string& name) {
    TestNode::Running run;
    const auto pod = node_->RunPod(name);
    EXPECT_OK(pod);
    if (!pod.ok()) return run;
    run.pod = *pod;
    const auto status = node_->PodStatusOf(run.pod);
    EXPECT_OK(status);
    if (status.ok()) run.ip = status->network().ip();
    const auto container =
        node_->Create(run.pod, node_->ContainerConfig(Web(0), {}));
    EXPECT_OK(container);
    if (container.ok()) run.container = *container;
    return run;
  }

  // The next attempt, as kubelet makes it.
  absl::Status TryAgain(TestNode::Running& run) {
    auto config = node_->ContainerConfig(Web(0), {});
    config.mutable_metadata()->set_attempt(1);
    ASSIGN_OR_RETURN(run.container, node_->Create(run.pod, config));
    RETURN_IF_ERROR(node_->StartContainer(run.container));
    return HttpGetRetried(run.ip, 80, "/").status();
  }

  static void Signal(pid_t process, int number) {
    ASSERT_GT(process, 0);
    ASSERT_EQ(::kill(process, number), 0);
  }
};

// It makes the task when nobody waits for that any more.
TEST_F(StuckShimTest, AStartThatWasGivenUpLeavesTheInterfaceFree) {
  WarmUp();
  const LeakWatch watch(*node_);
  TestNode::Running run = Created("pod");
  const pid_t shim = ShimOf(run);
  Signal(shim, SIGSTOP);
  EXPECT_FALSE(node_->StartContainer(run.container).ok());
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
  EXPECT_EQ(status.reason(), "StartError");
  Signal(shim, SIGCONT);
  EXPECT_OK(TryAgain(run));
  EXPECT_OK(node_->RemovePod(run.pod));
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(StuckShimTest, WhatWasNotStartedIsNotToldOfAsRunningForEver) {
  WarmUp();
  const LeakWatch watch(*node_);
  TestNode::Running run = Created("pod");
  const pid_t shim = ShimOf(run);
  node_->InjectFault("crash:container.task");
  EXPECT_THAT(node_->StartContainer(run.container),
              HasStatus(absl::StatusCode::kUnavailable, ""));
  node_->Stop(SIGKILL);
  node_->InjectFault("");
  Signal(shim, SIGSTOP);
  node_->Start();
  // Something is in its cgroup: what it does, only the shim knows.
  ASSERT_OK_AND_ASSIGN(const auto seen, node_->StatusOf(run.container));
  EXPECT_EQ(seen.state(), cri::CONTAINER_RUNNING);
  Signal(shim, SIGCONT);
  ASSERT_OK_AND_ASSIGN(const auto known, node_->WaitExited(run.container));
  EXPECT_EQ(known.exit_code(), 255);
  EXPECT_EQ(known.message(), "it was never started");
  EXPECT_OK(TryAgain(run));
  EXPECT_OK(node_->RemovePod(run.pod));
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

// Another pod's shim may have the container: that is not asked.
TEST_F(StuckShimTest, ADamagedRecordIsNotAskedOfEveryShim) {
  WarmUp();
  const LeakWatch watch(*node_);
  std::vector<TestNode::Running> runs;
  for (const char* name : {"damaged", "first", "second"}) {
    ASSERT_OK_AND_ASSIGN(auto run, node_->Run(name, Web(0)));
    ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
    runs.push_back(std::move(run));
  }
  node_->Stop(SIGKILL);
  const std::string record =
      absl::StrCat(node_->root(), "/containers/", runs[0].container, ".json");
  ASSERT_OK(WriteFileAtomic(record, "{"));
  const std::vector<pid_t> shims = {ShimOf(runs[1]), ShimOf(runs[2])};
  for (const pid_t shim : shims) Signal(shim, SIGSTOP);
  const absl::Time start = absl::Now();
  node_->Start();
  // A call to each of them takes twenty seconds.
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  EXPECT_OK(TryAgain(runs[0]));
  for (const pid_t shim : shims) Signal(shim, SIGCONT);
  for (const TestNode::Running& run : runs) {
    EXPECT_OK(node_->RemovePod(run.pod));
  }
  EXPECT_OK(RemovePath(record + ".unreadable"));
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

// Nor is the one that has it waited for.
TEST_F(StuckShimTest, TheShimOfADamagedRecordIsNotWaitedFor) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("pod", Web(0)));
  node_->Stop(SIGKILL);
  const std::string record =
      absl::StrCat(node_->root(), "/containers/", run.container, ".json");
  ASSERT_OK(WriteFileAtomic(record, "{"));
  const pid_t shim = ShimOf(run);
  Signal(shim, SIGSTOP);
  const absl::Time start = absl::Now();
  node_->Start();
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  Signal(shim, SIGCONT);
  EXPECT_OK(node_->RemovePod(run.pod));
}

}  // namespace
}  // namespace serai::testing
