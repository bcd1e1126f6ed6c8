// SPDX-License-Identifier: Apache-2.0
// What pods and containers use, by every call that says so.
#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using Runtime = cri::RuntimeService::Stub;

class StatsTest : public E2eTest {
 protected:
  std::vector<std::string> Listed(const cri::ContainerStatsFilter& filter) {
    cri::ListContainerStatsRequest request;
    *request.mutable_filter() = filter;
    const auto answer = Ask(runtime(), &Runtime::ListContainerStats, request);
    EXPECT_OK(answer);
    std::vector<std::string> ids;
    if (!answer.ok()) return ids;
    for (const auto& stats : answer->stats()) {
      ids.push_back(stats.attributes().id());
    }
    return ids;
  }
};
SERAI_EVERY_MODE(StatsTest);

TEST_P(StatsTest, AContainersAreItsOwn) {
  ASSERT_OK_AND_ASSIGN(const auto run, RunScript("busy", "sleep 1000"));
  cri::ContainerStats stats;
  EXPECT_TRUE(Eventually([&] {
    const auto now = node_->StatsOf(run.container);
    if (now.ok()) stats = *now;
    return stats.cpu().usage_core_nano_seconds().value() > 0;
  }));
  EXPECT_EQ(stats.attributes().id(), run.container);
  EXPECT_EQ(stats.attributes().metadata().name(), "c");
  EXPECT_GT(stats.cpu().timestamp(), 0);
  EXPECT_GT(stats.memory().timestamp(), 0);
  EXPECT_GT(stats.memory().working_set_bytes().value(), 0U);
}

TEST_P(StatsTest, AreListedForWhatRunsByIdPodAndLabel) {
  ASSERT_OK_AND_ASSIGN(const auto one, RunScript("one", "sleep 1000"));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("two", handler()));
  cri::ContainerConfig config = Script("c", "sleep 1000");
  (*config.mutable_labels())["app"] = "two";
  ASSERT_OK_AND_ASSIGN(const std::string two, node_->Create(pod, config));
  ASSERT_OK(node_->StartContainer(two));

  EXPECT_THAT(Listed({}), ::testing::IsSupersetOf({one.container, two}));
  cri::ContainerStatsFilter filter;
  filter.set_id(one.container);
  EXPECT_THAT(Listed(filter), ::testing::ElementsAre(one.container));
  filter.Clear();
  filter.set_pod_sandbox_id(pod);
  EXPECT_THAT(Listed(filter), ::testing::ElementsAre(two));
  filter.Clear();
  (*filter.mutable_label_selector())["app"] = "two";
  EXPECT_THAT(Listed(filter), ::testing::ElementsAre(two));
}

}  // namespace
}  // namespace serai::testing
