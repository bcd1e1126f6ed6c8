// SPDX-License-Identifier: Apache-2.0
// However a pod's life goes and ends, and wherever its making fails, nothing of
// it is left: no namespace, link, mount, cgroup, process, rule, lease or file.
#include <signal.h>

#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/own_machine.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

constexpr int kPods = 100;
constexpr int kAtATime = 10;

// The steps of a pod's and its container's making, in their order.
const std::vector<std::string>& Steps() {
  static const auto* const steps = new std::vector<std::string>{
      "pod.record",     "pod.directory",    "pod.netns",
      "pod.cni",        "pod.tap",          "pod.cgroup",
      "pod.shim",       "container.record", "container.bundle",
      "container.task", "container.start"};
  return *steps;
}

enum class End { kByItself, kByStop, kKilledTender, kKilledShim, kByRemove };
constexpr int kEnds = 5;

class LeakTest : public OwnMachineTest {
 protected:
  // Tries to make pod `name` while `step` is made to fail.
  void FailAt(const std::string& step, const std::string& name,
              const std::string& image) {
    const auto failed = node_->Run(name, image);
    EXPECT_THAT(failed, HasStatus(absl::StatusCode::kInternal,
                                  absl::StrCat("injected failure at ", step)));
    const std::string pod = PodCalled(name);
    EXPECT_EQ(pod.empty(), absl::StartsWith(step, "pod.")) << step;
  }

  // What kubelet does next: the same pod again, or its container.
  absl::StatusOr<TestNode::Running> TryAgain(const std::string& name,
                                             const std::string& image) {
    TestNode::Running run;
    run.pod = PodCalled(name);
    if (run.pod.empty()) return node_->Run(name, image);
    auto config = node_->ContainerConfig(image, {});
    for (const cri::Container& container : node_->Containers()) {
      if (container.pod_sandbox_id() != run.pod) continue;
      EXPECT_EQ(container.state(), cri::CONTAINER_EXITED);
      config.mutable_metadata()->set_attempt(container.metadata().attempt() +
                                             1);
    }
    ASSIGN_OR_RETURN(run.container, node_->Create(run.pod, config));
    RETURN_IF_ERROR(node_->StartContainer(run.container));
    ASSIGN_OR_RETURN(const auto status, node_->PodStatusOf(run.pod));
    run.ip = status.network().ip();
    return run;
  }

  void FailAndTryAgain(const std::string& step, const std::string& name,
                       const std::string& image) {
    node_->InjectFault(step);
    FailAt(step, name, image);
    node_->InjectFault("");
    const auto run = TryAgain(name, image);
    ASSERT_OK(run);
    UseAndRemove(*run, End::kByRemove);
  }

  // Sees a web guest answer, ends it, and removes its pod.
  void UseAndRemove(const TestNode::Running& run, End end) {
    EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
    int32_t exit_code = 0;
    switch (end) {
      case End::kByItself:
        (void)HttpGet(run.ip, 80, "/exit?code=3");
        exit_code = 3;
        break;
      case End::kByStop:
        EXPECT_OK(node_->StopContainer(run.container, 5));
        exit_code = 128 + SIGTERM;
        break;
      case End::kKilledTender:
        Kill(TenderOf(run));
        exit_code = 128 + SIGKILL;
        break;
      case End::kKilledShim:
        Kill(ShimOf(run));
        exit_code = 255;
        break;
      case End::kByRemove:
        EXPECT_OK(node_->RemovePod(run.pod));
        return;
    }
    const auto status = node_->WaitExited(run.container);
    EXPECT_OK(status);
    if (status.ok()) {
      EXPECT_EQ(status->exit_code(), exit_code) << status->message();
    }
    EXPECT_OK(node_->StopPod(run.pod));
    EXPECT_OK(node_->RemovePod(run.pod));
  }

  // An exit guest's whole life.
  void RunToItsEnd(const std::string& name, int turn) {
    const auto run = node_->Run(name, Exit(turn), {"--status=7"});
    ASSERT_OK(run);
    const auto status = node_->WaitExited(run->container);
    ASSERT_OK(status);
    EXPECT_EQ(status->exit_code(), 7);
    EXPECT_OK(node_->RemovePod(run->pod));
  }

 private:
  std::string PodCalled(const std::string& name) {
    for (const cri::PodSandbox& pod : node_->Pods()) {
      if (pod.metadata().name() == name) return pod.id();
    }
    return "";
  }

  static void Kill(pid_t pid) {
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
  }
};

void OnThreads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kAtATime; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

TEST_F(LeakTest, PodsOneByOneLeaveNothing) {
  WarmUp();
  const LeakWatch watch(*node_);
  const int steps = static_cast<int>(Steps().size());
  const int kinds = steps + kEnds + 1;
  for (int i = 0; i < kPods && !HasFailure(); ++i) {
    const int kind = i % kinds;
    const int turn = i / kinds + kind;
    const std::string name = absl::StrCat("pod", i);
    SCOPED_TRACE(absl::StrCat(name, ", kind ", kind));
    if (kind < steps) {
      FailAndTryAgain(Steps()[static_cast<size_t>(kind)], name, Web(turn));
    } else if (kind < steps + kEnds) {
      const auto run = node_->Run(name, Web(turn));
      ASSERT_OK(run);
      UseAndRemove(*run, static_cast<End>(kind - steps));
    } else {
      RunToItsEnd(name, turn);
    }
    ASSERT_THAT(watch.Leaks(), IsEmpty());
  }
}

TEST_F(LeakTest, TenPodsAtATimeLeaveNothing) {
  WarmUp();
  const LeakWatch watch(*node_);
  for (const std::string& step : Steps()) {
    SCOPED_TRACE(step);
    const auto name = [](int i) { return absl::StrCat("pod", i); };
    node_->InjectFault(step);
    OnThreads([&](int i) { FailAt(step, name(i), Web(i)); });
    node_->InjectFault("");
    OnThreads([&](int i) {
      const auto run = TryAgain(name(i), Web(i));
      EXPECT_OK(run);
      if (run.ok()) UseAndRemove(*run, static_cast<End>(i % kEnds));
    });
    ASSERT_THAT(watch.Leaks(), IsEmpty());
  }
}

TEST_F(LeakTest, AnImageThatIsNotCommittedLeavesNothing) {
  const LeakWatch watch(*node_);
  node_->InjectFault("image-commit");
  EXPECT_THAT(node_->LoadGuests("hello", {"hello.spt"}),
              HasStatus(absl::StatusCode::kInternal,
                        "injected failure at image-commit"));
  node_->InjectFault("");
  EXPECT_THAT(watch.Leaks(), IsEmpty());
  EXPECT_OK(node_->LoadGuests("hello", {"hello.spt"}));
}

}  // namespace
}  // namespace serai::testing
