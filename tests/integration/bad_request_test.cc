// SPDX-License-Identifier: Apache-2.0
// Calls that can't be served, or that kubelet makes twice: the code and the
// sentence that the CRI's callers rely on, and nothing left of them.
#include <thread>

#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

using Runtime = cri::RuntimeService::Stub;

constexpr auto kNotFound = absl::StatusCode::kNotFound;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kNotNow = absl::StatusCode::kFailedPrecondition;
constexpr auto kExists = absl::StatusCode::kAlreadyExists;

class BadRequestTest : public BadInputTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(StartNode());
    ASSERT_OK_AND_ASSIGN(image_, node_->LoadGuests("web", {"web.spt"}));
    Mark();
  }

  std::string image_;
};

TEST_F(BadRequestTest, AnUnknownHandlerIsRefusedWithTheKnownOnes) {
  EXPECT_THAT(node_->RunPod("pod", "gvisor"),
              HasStatus(kInvalid, "\"gvisor\""));
  EXPECT_THAT(node_->RunPod("pod", "gvisor"),
              HasStatus(kInvalid, "the configuration has: unikernel"));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, HostNetworkIsRefused) {
  auto config = node_->PodConfig("pod");
  config.mutable_linux()
      ->mutable_security_context()
      ->mutable_namespace_options()
      ->set_network(cri::NODE);
  EXPECT_THAT(node_->RunPod(config), HasStatus(kInvalid, "hostNetwork"));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, AGroupNeedsAUser) {
  auto pod_config = node_->PodConfig("pod");
  pod_config.mutable_linux()
      ->mutable_security_context()
      ->mutable_run_as_group()
      ->set_value(7);
  EXPECT_THAT(node_->RunPod(pod_config), HasStatus(kInvalid, "runAsUser"));
  ExpectNothingNew();
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  Mark();
  auto config = node_->ContainerConfig(image_, {});
  auto& security = *config.mutable_linux()->mutable_security_context();
  security.mutable_run_as_group()->set_value(7);
  EXPECT_THAT(node_->Create(pod, config), HasStatus(kInvalid, "runAsUser"));
  ExpectNothingNew();
  security.set_run_as_username("somebody");
  EXPECT_OK(node_->Create(pod, config));
}

TEST_F(BadRequestTest, APodWithoutANameOrWithAWrongParentIsRefused) {
  EXPECT_THAT(node_->RunPod(cri::PodSandboxConfig()),
              HasStatus(kInvalid, "lacks a name"));
  auto config = node_->PodConfig("pod");
  config.mutable_linux()->set_cgroup_parent("kubepods.slice");
  EXPECT_THAT(node_->RunPod(config), HasStatus(kInvalid, "cgroupfs"));
  config.mutable_linux()->set_cgroup_parent("/../../etc");
  EXPECT_THAT(node_->RunPod(config), HasStatus(kInvalid, "/../../etc"));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, ANameIsOnePodsAtATime) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  Mark();
  // The same call again is the same pod; another one is not.
  EXPECT_THAT(node_->RunPod("pod"), IsOkAndHolds(pod));
  auto other = node_->PodConfig("pod");
  other.set_hostname("other");
  EXPECT_THAT(node_->RunPod(other), HasStatus(kExists, pod));
  EXPECT_THAT(node_->RunPod(other),
              HasStatus(kExists, "pod_default_uid-pod_0"));
  ExpectNothingNew();
  EXPECT_EQ(node_->Pods().size(), 1u);
  // The next attempt is another name, and so is a removed pod's.
  auto config = node_->PodConfig("pod");
  config.mutable_metadata()->set_attempt(1);
  EXPECT_OK(node_->RunPod(config));
  EXPECT_OK(node_->StopPod(pod));
  EXPECT_THAT(node_->RunPod("pod"), HasStatus(kExists, pod));
  EXPECT_OK(node_->RemovePod(pod));
  EXPECT_OK(node_->RunPod("pod"));
}

TEST_F(BadRequestTest, OfDifferentCallsForOneNameAtATimeOneWins) {
  constexpr int kCalls = 8;
  std::vector<absl::Status> results(kCalls);
  std::vector<std::thread> calls;
  for (size_t i = 0; i < results.size(); ++i) {
    calls.emplace_back([this, i, &results] {
      auto config = node_->PodConfig("pod");
      config.set_hostname(absl::StrCat("host", i));
      results[i] = node_->RunPod(config).status();
    });
  }
  for (std::thread& call : calls) call.join();
  int won = 0;
  for (const absl::Status& result : results) {
    if (result.ok()) {
      ++won;
    } else {
      EXPECT_THAT(result, HasStatus(kExists, "pod pod_default_uid-pod_0 is"));
    }
  }
  EXPECT_EQ(won, 1);
  ASSERT_EQ(node_->Pods().size(), 1u);
  EXPECT_OK(node_->RemovePod(node_->Pods().front().id()));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, StopAndRemoveOfUnknownIdsSucceed) {
  const std::string unknown(64, '0');
  EXPECT_OK(node_->StopPod(unknown));
  EXPECT_OK(node_->RemovePod(unknown));
  EXPECT_OK(node_->StopContainer(unknown, 2));
  EXPECT_OK(node_->RemoveContainer(unknown));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, StopAndRemoveCanBeRepeated) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("pod", image_));
  for (int i = 0; i < 2; ++i) {
    EXPECT_OK(node_->StopContainer(web.container, 0));
    EXPECT_OK(node_->StopPod(web.pod));
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_OK(node_->RemoveContainer(web.container));
    EXPECT_OK(node_->RemovePod(web.pod));
  }
  ExpectNothingNew();
}

TEST_F(BadRequestTest, UnknownIdsAreNotFound) {
  const std::string unknown(64, '0');
  EXPECT_THAT(node_->PodStatusOf(unknown), HasStatus(kNotFound, unknown));
  EXPECT_THAT(node_->StatusOf(unknown), HasStatus(kNotFound, unknown));
  EXPECT_THAT(node_->StartContainer(unknown), HasStatus(kNotFound, unknown));
  cri::CreateContainerRequest create;
  create.set_pod_sandbox_id(unknown);
  *create.mutable_config() = node_->ContainerConfig(image_, {});
  EXPECT_THAT(CallCri(node_->runtime(), &Runtime::CreateContainer, create),
              HasStatus(kNotFound, unknown));
  cri::ReopenContainerLogRequest reopen;
  reopen.set_container_id(unknown);
  EXPECT_THAT(CallCri(node_->runtime(), &Runtime::ReopenContainerLog, reopen),
              HasStatus(kNotFound, unknown));
  cri::ContainerStatsRequest stats;
  stats.set_container_id(unknown);
  EXPECT_THAT(CallCri(node_->runtime(), &Runtime::ContainerStats, stats),
              HasStatus(kNotFound, unknown));
  EXPECT_THAT(node_->StatusOf(""), HasStatus(kInvalid, "empty"));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, UnikernelsWithoutPortsCantShareAnInterface) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("pod", image_));
  Mark();
  auto other = node_->ContainerConfig(image_, {});
  other.mutable_metadata()->set_name("sidecar");
  EXPECT_THAT(
      node_->Create(web.pod, other),
      HasStatus(kInvalid, "container \"sidecar\" shares interface eth0"));
  EXPECT_THAT(node_->Create(web.pod, other),
              HasStatus(kInvalid, "declare its ports"));
  ExpectNothingNew();
  EXPECT_EQ(node_->Containers().size(), 1u);
}

TEST_F(BadRequestTest, AContainersNameAndAttemptAreItsOwn) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("pod", image_));
  Mark();
  auto again = node_->ContainerConfig(image_, {});
  EXPECT_THAT(node_->Create(web.pod, again), HasStatus(kExists, web.container));
  again.mutable_metadata()->set_attempt(1);
  EXPECT_THAT(node_->Create(web.pod, again),
              HasStatus(kNotNow, "has not ended"));
  again.mutable_metadata()->clear_name();
  EXPECT_THAT(node_->Create(web.pod, again),
              HasStatus(kInvalid, "lacks a name"));
  ExpectNothingNew();
  EXPECT_EQ(node_->Containers().size(), 1u);
}

TEST_F(BadRequestTest, AContainerIsStartedOnce) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("pod", image_));
  Mark();
  // kubelet asks again where it did not hear the first answer.
  EXPECT_OK(node_->StartContainer(web.container));
  ExpectNothingNew();
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  ASSERT_OK(node_->StopContainer(web.container, 0));
  EXPECT_THAT(node_->StartContainer(web.container),
              HasStatus(kNotNow, "was started before"));
}

TEST_F(BadRequestTest, AStoppedPodTakesNoContainer) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(pod, node_->ContainerConfig(image_, {})));
  ASSERT_OK(node_->StopPod(pod));
  auto config = node_->ContainerConfig(image_, {});
  config.mutable_metadata()->set_attempt(1);
  EXPECT_THAT(node_->Create(pod, config), HasStatus(kNotNow, "was stopped"));
  EXPECT_THAT(node_->StartContainer(container),
              HasStatus(kNotNow, "was stopped"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->PodStatusOf(pod));
  EXPECT_EQ(status.state(), cri::SANDBOX_NOTREADY);
  EXPECT_OK(node_->RemovePod(pod));
  ExpectNothingNew();
}

TEST_F(BadRequestTest, NothingCanBeExecutedInAUnikernel) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("pod", image_));
  constexpr auto kCannot = absl::StatusCode::kUnimplemented;
  cri::ExecSyncRequest sync;
  sync.set_container_id(web.container);
  sync.add_cmd("ls");
  EXPECT_THAT(CallCri(node_->runtime(), &Runtime::ExecSync, sync),
              HasStatus(kCannot, "a unikernel has no processes"));
  cri::ExecRequest exec;
  exec.set_container_id(web.container);
  EXPECT_THAT(CallCri(node_->runtime(), &Runtime::Exec, exec),
              HasStatus(kCannot, "a unikernel has no processes"));
}

TEST_F(BadRequestTest, AnArgumentTheGuestRefusesIsItsExitStatus) {
  ASSERT_OK_AND_ASSIGN(const auto web,
                       node_->Run("pod", image_, {"--no-such-option"}));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->WaitExited(web.container));
  EXPECT_EQ(status.exit_code(), 64);
  EXPECT_EQ(status.reason(), "Error");
  ASSERT_OK_AND_ASSIGN(const std::string log, LogOf(web.container));
  EXPECT_THAT(log, HasSubstr("no-such-option"));
  EXPECT_OK(node_->RemovePod(web.pod));
  ExpectNothingNew();
}

}  // namespace
}  // namespace serai::testing
