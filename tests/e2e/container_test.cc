// SPDX-License-Identifier: Apache-2.0
// Containers: their life, what they keep, how they are found, how they end.
#include "absl/strings/str_cat.h"
#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using Runtime = cri::RuntimeService::Stub;

class ContainerTest : public E2eTest {
 protected:
  std::vector<std::string> Find(const cri::ContainerFilter& filter) {
    cri::ListContainersRequest request;
    *request.mutable_filter() = filter;
    const auto answer = Ask(runtime(), &Runtime::ListContainers, request);
    EXPECT_OK(answer);
    std::vector<std::string> ids;
    if (!answer.ok()) return ids;
    for (const auto& container : answer->containers()) {
      ids.push_back(container.id());
    }
    return ids;
  }
};
SERAI_EVERY_MODE(ContainerTest);

TEST_P(ContainerTest, IsCreatedStartedStoppedAndRemoved) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod", handler()));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(pod, Script("c", "sleep 1000")));
  EXPECT_EQ(StateOf(container), cri::CONTAINER_CREATED);
  ASSERT_OK(node_->StartContainer(container));
  EXPECT_EQ(StateOf(container), cri::CONTAINER_RUNNING);
  // Seraid takes the same call again for one whose answer was lost.
  EXPECT_EQ(node_->StartContainer(container).ok(), !ordinary());

  ASSERT_OK(node_->StopContainer(container, 1));
  ASSERT_OK_AND_ASSIGN(const auto ended, node_->StatusOf(container));
  EXPECT_EQ(ended.state(), cri::CONTAINER_EXITED);
  EXPECT_NE(ended.exit_code(), 0);
  EXPECT_GE(ended.started_at(), ended.created_at());
  EXPECT_GE(ended.finished_at(), ended.started_at());
  ASSERT_OK(node_->StopContainer(container, 1));

  for (int i = 0; i < 2; ++i) ASSERT_OK(node_->RemoveContainer(container));
  EXPECT_THAT(node_->StatusOf(container),
              HasStatus(absl::StatusCode::kNotFound, ""));
  EXPECT_THAT(node_->Containers(), IsEmpty());
}

TEST_P(ContainerTest, IsRemovedWhereverItIsInItsLife) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod", handler()));
  ASSERT_OK_AND_ASSIGN(const std::string created,
                       node_->Create(pod, Script("c", "sleep 1000")));
  EXPECT_OK(node_->RemoveContainer(created));
  ASSERT_OK_AND_ASSIGN(const std::string running,
                       node_->Create(pod, Script("c", "sleep 1000")));
  ASSERT_OK(node_->StartContainer(running));
  EXPECT_OK(node_->RemoveContainer(running));
  EXPECT_THAT(node_->Containers(), IsEmpty());
}

TEST_P(ContainerTest, EndsWithItsStatusAndAReason) {
  ASSERT_OK_AND_ASSIGN(const auto good, RunScript("good", "echo fine"));
  ASSERT_OK_AND_ASSIGN(auto status, node_->WaitExited(good.container));
  EXPECT_EQ(status.exit_code(), 0);
  EXPECT_EQ(status.reason(), "Completed");
  ASSERT_OK_AND_ASSIGN(const auto bad, RunScript("bad", "exit 7"));
  ASSERT_OK_AND_ASSIGN(status, node_->WaitExited(bad.container));
  EXPECT_EQ(status.exit_code(), 7);
  EXPECT_EQ(status.reason(), "Error");
  ASSERT_OK_AND_ASSIGN(const auto pod, node_->PodStatusOf(bad.pod));
  EXPECT_EQ(pod.state(), cri::SANDBOX_READY);
}

TEST_P(ContainerTest, KeepsWhatItWasGiven) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod", handler()));
  cri::ContainerConfig config = Script("kept", "sleep 1000");
  config.mutable_metadata()->set_attempt(2);
  config.mutable_image()->set_user_specified_image("shop.example/kept:1");
  (*config.mutable_labels())["io.kubernetes.container.name"] = "kept";
  (*config.mutable_annotations())["io.kubernetes.container.restartCount"] = "2";
  config.mutable_linux()->mutable_resources()->set_cpu_shares(102);
  ASSERT_OK_AND_ASSIGN(const std::string container, node_->Create(pod, config));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(container));
  EXPECT_EQ(status.metadata().name(), "kept");
  EXPECT_EQ(status.metadata().attempt(), 2U);
  EXPECT_EQ(status.labels().at("io.kubernetes.container.name"), "kept");
  EXPECT_EQ(status.annotations().at("io.kubernetes.container.restartCount"),
            "2");
  EXPECT_THAT(status.image_ref(), Not(IsEmpty()));
  EXPECT_EQ(status.log_path().rfind('/', 0), 0U) << status.log_path();
  const auto containers = node_->Containers();
  ASSERT_EQ(containers.size(), 1U);
  EXPECT_EQ(containers[0].pod_sandbox_id(), pod);
  EXPECT_EQ(containers[0].metadata().attempt(), 2U);
  EXPECT_EQ(containers[0].image_ref(), status.image_ref());
  // Newer fields, which containerd 1.6 does not have.
  if (ordinary()) return;
  EXPECT_EQ(status.resources().linux().cpu_shares(), 102);
  EXPECT_EQ(status.image().user_specified_image(), "shop.example/kept:1");
  EXPECT_EQ(status.image_id(), containers[0].image_id());
  EXPECT_THAT(status.image_id(), Not(IsEmpty()));
}

TEST_P(ContainerTest, IsFoundByIdPodStateAndLabel) {
  ASSERT_OK_AND_ASSIGN(const auto one, RunScript("one", "sleep 1000"));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("two", handler()));
  cri::ContainerConfig config = Script("c", "sleep 1000");
  (*config.mutable_labels())["app"] = "two";
  ASSERT_OK_AND_ASSIGN(const std::string two, node_->Create(pod, config));

  EXPECT_THAT(Find({}), UnorderedElementsAre(one.container, two));
  cri::ContainerFilter by_id;
  by_id.set_id(one.container);
  EXPECT_THAT(Find(by_id), UnorderedElementsAre(one.container));
  cri::ContainerFilter by_pod;
  by_pod.set_pod_sandbox_id(pod);
  EXPECT_THAT(Find(by_pod), UnorderedElementsAre(two));
  cri::ContainerFilter by_state;
  by_state.mutable_state()->set_state(cri::CONTAINER_RUNNING);
  EXPECT_THAT(Find(by_state), UnorderedElementsAre(one.container));
  cri::ContainerFilter by_label;
  (*by_label.mutable_label_selector())["app"] = "two";
  EXPECT_THAT(Find(by_label), UnorderedElementsAre(two));
  by_label.mutable_state()->set_state(cri::CONTAINER_RUNNING);
  EXPECT_THAT(Find(by_label), IsEmpty());
}

TEST_P(ContainerTest, RunsAfterAnInitContainerAndBesideAnother) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod", handler()));
  ASSERT_OK_AND_ASSIGN(const std::string init,
                       node_->Create(pod, Script("init", "echo first")));
  ASSERT_OK(node_->StartContainer(init));
  ASSERT_OK(node_->WaitExited(init));
  ASSERT_OK_AND_ASSIGN(const std::string web, Web());
  ASSERT_OK_AND_ASSIGN(const std::string server,
                       node_->Create(pod, node_->ContainerConfig(web, {})));
  ASSERT_OK(node_->StartContainer(server));
  ASSERT_OK_AND_ASSIGN(
      const std::string beside,
      node_->Create(pod, Script("beside", "echo here; sleep 1000")));
  ASSERT_OK(node_->StartContainer(beside));

  ASSERT_OK_AND_ASSIGN(const auto status, node_->PodStatusOf(pod));
  EXPECT_OK(HttpGetRetried(status.network().ip(), 80, "/"));
  EXPECT_THAT(LogWith(beside, "here"), HasSubstr("here"));
  EXPECT_EQ(StateOf(server), cri::CONTAINER_RUNNING);
  // One ends; the other does not care.
  ASSERT_OK(node_->StopContainer(beside, 0));
  EXPECT_EQ(StateOf(beside), cri::CONTAINER_EXITED);
  EXPECT_OK(HttpGetRetried(status.network().ip(), 80, "/"));
}

}  // namespace
}  // namespace serai::testing
