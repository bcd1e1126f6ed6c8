// SPDX-License-Identifier: Apache-2.0
// Pods: their life, what they keep of what they were given, how they are found.
#include "lib/base/file.h"
#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using Runtime = cri::RuntimeService::Stub;

class PodTest : public E2eTest {
 protected:
  std::vector<std::string> Find(const cri::PodSandboxFilter& filter) {
    cri::ListPodSandboxRequest request;
    *request.mutable_filter() = filter;
    const auto answer = Ask(runtime(), &Runtime::ListPodSandbox, request);
    EXPECT_OK(answer);
    std::vector<std::string> ids;
    if (!answer.ok()) return ids;
    for (const auto& pod : answer->items()) ids.push_back(pod.id());
    return ids;
  }
};
SERAI_EVERY_MODE(PodTest);

TEST_P(PodTest, RunsStopsAndGoes) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod", handler()));
  ASSERT_OK_AND_ASSIGN(auto status, node_->PodStatusOf(pod));
  EXPECT_EQ(status.state(), cri::SANDBOX_READY);
  EXPECT_GT(status.created_at(), 0);
  EXPECT_THAT(status.network().ip(), Not(IsEmpty()));
  EXPECT_EQ(status.runtime_handler(), handler());

  ASSERT_OK(node_->StopPod(pod));
  ASSERT_OK_AND_ASSIGN(status, node_->PodStatusOf(pod));
  EXPECT_EQ(status.state(), cri::SANDBOX_NOTREADY);
  ASSERT_OK(node_->StopPod(pod));

  ASSERT_OK(node_->RemovePod(pod));
  EXPECT_THAT(node_->PodStatusOf(pod),
              HasStatus(absl::StatusCode::kNotFound, ""));
  EXPECT_THAT(node_->Pods(), IsEmpty());
}

TEST_P(PodTest, KeepsWhatItWasGiven) {
  cri::PodSandboxConfig config = node_->PodConfig("kept");
  config.mutable_metadata()->set_attempt(3);
  (*config.mutable_labels())["app"] = "shop";
  (*config.mutable_annotations())["example.org/note"] = "a \"quoted\" word\n";
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod(config, handler()));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->PodStatusOf(pod));
  EXPECT_EQ(status.id(), pod);
  EXPECT_EQ(status.metadata().name(), "kept");
  EXPECT_EQ(status.metadata().namespace_(), config.metadata().namespace_());
  EXPECT_EQ(status.metadata().uid(), config.metadata().uid());
  EXPECT_EQ(status.metadata().attempt(), 3U);
  EXPECT_EQ(status.labels().at("app"), "shop");
  EXPECT_EQ(status.annotations().at("example.org/note"), "a \"quoted\" word\n");
  EXPECT_EQ(status.linux().namespaces().options().network(), cri::POD);

  const auto pods = node_->Pods();
  ASSERT_EQ(pods.size(), 1U);
  EXPECT_EQ(pods[0].metadata().attempt(), 3U);
  EXPECT_EQ(pods[0].labels().at("app"), "shop");
  EXPECT_EQ(pods[0].annotations().at("example.org/note"),
            "a \"quoted\" word\n");
}

TEST_P(PodTest, IsFoundByIdStateAndLabel) {
  cri::PodSandboxConfig config = node_->PodConfig("one");
  (*config.mutable_labels())["app"] = "one";
  ASSERT_OK_AND_ASSIGN(const std::string one, node_->RunPod(config, handler()));
  ASSERT_OK_AND_ASSIGN(const std::string two, node_->RunPod("two", handler()));
  ASSERT_OK(node_->StopPod(two));

  EXPECT_THAT(Find({}), UnorderedElementsAre(one, two));
  cri::PodSandboxFilter filter;
  filter.set_id(two);
  EXPECT_THAT(Find(filter), UnorderedElementsAre(two));
  filter.mutable_state()->set_state(cri::SANDBOX_READY);
  EXPECT_THAT(Find(filter), IsEmpty());
  filter.clear_id();
  EXPECT_THAT(Find(filter), UnorderedElementsAre(one));
  (*filter.mutable_label_selector())["app"] = "one";
  EXPECT_THAT(Find(filter), UnorderedElementsAre(one));
  (*filter.mutable_label_selector())["app"] = "two";
  EXPECT_THAT(Find(filter), IsEmpty());
}

TEST_P(PodTest, RemovingARunningOneEndsItsContainers) {
  ASSERT_OK_AND_ASSIGN(const auto run, RunScript("busy", "sleep 1000"));
  ASSERT_OK(node_->RemovePod(run.pod));
  EXPECT_THAT(node_->Pods(), IsEmpty());
  EXPECT_THAT(node_->Containers(), IsEmpty());
}

TEST_P(PodTest, AnUnknownHandlerIsRefused) {
  const auto pod = node_->RunPod("pod", "no-such-handler");
  ASSERT_FALSE(pod.ok());
  EXPECT_THAT(std::string(pod.status().message()),
              ::testing::HasSubstr("no-such-handler"));
  EXPECT_THAT(node_->Pods(), IsEmpty());
}

TEST_P(PodTest, WhatIsUnknownIsStoppedAndRemovedAlready) {
  const std::string unknown(64, '7');
  EXPECT_OK(node_->RemovePod(unknown));
  EXPECT_OK(node_->RemoveContainer(unknown));
  // The CRI wants success; containerd before 1.7 answers "not found".
  const absl::Status stopped[] = {node_->StopPod(unknown),
                                  node_->StopContainer(unknown, 0)};
  for (const absl::Status& status : stopped) {
    if (GetParam() != Mode::kAlone && absl::IsNotFound(status)) continue;
    EXPECT_OK(status);
  }
}

}  // namespace
}  // namespace serai::testing
