// SPDX-License-Identifier: Apache-2.0
// Each step of each call fails, or is seraid's last: there is a whole pod then,
// or none; what is said of it is so; the call again does what it is for; and
// nothing is left in the end.
#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/fault_points.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

// Of a guest that ends by itself.
constexpr int kExitCode = 7;

class FaultTest : public OwnMachineTest {
 protected:
  // A pod as far on its way as `call` wants to find it.
  TestNode::Running Prepare(FaultCall call) {
    TestNode::Running run;
    attempt_ = 0;
    for (const FaultCall before :
         {FaultCall::kRunPod, FaultCall::kCreateContainer,
          FaultCall::kStartContainer}) {
      if (before >= call) break;
      EXPECT_OK(Do(before, run));
    }
    if (call == FaultCall::kReopenLog || call == FaultCall::kStopContainer ||
        call == FaultCall::kEnd) {
      EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
    }
    return run;
  }

  absl::Status Do(FaultCall call, TestNode::Running& run) {
    switch (call) {
      case FaultCall::kRunPod: {
        ASSIGN_OR_RETURN(run.pod, node_->RunPod("pod"));
        ASSIGN_OR_RETURN(const auto status, node_->PodStatusOf(run.pod));
        run.ip = status.network().ip();
        return absl::OkStatus();
      }
      case FaultCall::kCreateContainer: {
        auto config = node_->ContainerConfig(Web(turn_), {});
        config.mutable_metadata()->set_attempt(attempt_);
        ASSIGN_OR_RETURN(run.container, node_->Create(run.pod, config));
        return absl::OkStatus();
      }
      case FaultCall::kStartContainer:
        return node_->StartContainer(run.container);
      case FaultCall::kStopContainer:
        return node_->StopContainer(run.container, 5);
      case FaultCall::kReopenLog: {
        Call context;
        cri::ReopenContainerLogRequest request;
        request.set_container_id(run.container);
        cri::ReopenContainerLogResponse response;
        return FromGrpc(node_->runtime().ReopenContainerLog(
            context.get(), request, &response));
      }
      case FaultCall::kRemoveContainer:
        return node_->RemoveContainer(run.container);
      case FaultCall::kStopPod:
        return node_->StopPod(run.pod);
      case FaultCall::kRemovePod:
        return node_->RemovePod(run.pod);
      case FaultCall::kEnd:
        (void)HttpGet(run.ip, 80, absl::StrCat("/exit?code=", kExitCode));
        return AwaitEnd(run);
      case FaultCall::kImage:
      case FaultCall::kRestorePod:
        break;
    }
    return absl::InternalError("no such call");
  }

  absl::Status AwaitEnd(const TestNode::Running& run) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (absl::Now() < deadline) {
      ASSIGN_OR_RETURN(const auto status, node_->StatusOf(run.container));
      if (status.state() == cri::CONTAINER_EXITED) {
        EXPECT_EQ(status.exit_code(), kExitCode) << status.message();
        return absl::OkStatus();
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    return absl::DeadlineExceededError("it does not end");
  }

  // As kubelet does: a container that has ended without its doing is followed
  // by another attempt.
  absl::Status DoAgain(FaultCall call, TestNode::Running& run) {
    if (call == FaultCall::kEnd) return AwaitEnd(run);
    if (call == FaultCall::kStartContainer) {
      ASSIGN_OR_RETURN(const auto status, node_->StatusOf(run.container));
      if (status.state() == cri::CONTAINER_EXITED) {
        EXPECT_EQ(status.reason(), "StartError");
        ++attempt_;
        RETURN_IF_ERROR(Do(FaultCall::kCreateContainer, run));
      }
    }
    return Do(call, run);
  }

  // What is wrong with what seraid says; empty: nothing.
  std::string Lie() {
    std::string lie;
    for (const cri::PodSandbox& pod : node_->Pods()) {
      TestNode::Running run;
      run.pod = pod.id();
      if (pod.state() != cri::SANDBOX_READY) continue;
      if (ShimOf(run) == 0) absl::StrAppend(&lie, "a ready pod has no shim; ");
      const auto status = node_->PodStatusOf(pod.id());
      if (!status.ok() || status->network().ip().empty()) {
        absl::StrAppend(&lie, "a ready pod has no address; ");
      }
    }
    for (const cri::Container& container : node_->Containers()) {
      TestNode::Running run;
      run.container = container.id();
      const bool runs = TenderOf(run) != 0;
      if (runs != (container.state() == cri::CONTAINER_RUNNING)) {
        absl::StrAppend(&lie, "a container that ", runs ? "runs" : "does not",
                        " is in state ", container.state(), "; ");
      }
    }
    return lie;
  }

  // What goes on being taken down is done soon.
  void ExpectTruth() {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    std::string lie = Lie();
    while (!lie.empty() && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(20));
      lie = Lie();
    }
    EXPECT_EQ(lie, "");
  }

  void Try(const FaultStep& step, bool crash) {
    SCOPED_TRACE(step.name);
    ++turn_;
    TestNode::Running run = Prepare(step.call);
    node_->InjectFault(absl::StrCat(crash ? "crash:" : "", step.name));
    const absl::Status failed = Do(step.call, run);
    if (crash) {
      EXPECT_THAT(failed, HasStatus(absl::StatusCode::kUnavailable, ""));
      node_->Stop(SIGKILL);
      node_->InjectFault("");
      node_->Start();
    } else {
      EXPECT_THAT(failed,
                  HasStatus(absl::StatusCode::kInternal,
                            absl::StrCat("injected failure at ", step.name)));
      node_->InjectFault("");
    }
    ExpectTruth();
    EXPECT_OK(DoAgain(step.call, run));
    ExpectTruth();
    for (const FaultCall after :
         {FaultCall::kCreateContainer, FaultCall::kStartContainer}) {
      if (after > step.call) EXPECT_OK(Do(after, run));
    }
    if (step.call <= FaultCall::kStartContainer) {
      EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
    }
    EXPECT_OK(node_->RemovePod(run.pod));
  }

  void TryAll(bool crash) {
    WarmUp();
    const LeakWatch watch(*node_);
    for (const FaultStep& step : kFaultSteps) {
      if (step.call >= FaultCall::kImage) continue;
      if (step.call == FaultCall::kEnd && !crash) continue;
      Try(step, crash);
      ASSERT_THAT(watch.Leaks(), IsEmpty()) << step.name;
      if (HasFailure()) return;
    }
    EXPECT_THAT(node_->Pods(), IsEmpty());
    EXPECT_THAT(node_->Containers(), IsEmpty());
  }

 private:
  int turn_ = 0;
  uint32_t attempt_ = 0;
};

TEST_F(FaultTest, WhateverStepFailsThereIsAWholePodOrNone) { TryAll(false); }

TEST_F(FaultTest, AtWhateverStepItDiesThereIsAWholePodOrNone) { TryAll(true); }

}  // namespace
}  // namespace serai::testing
