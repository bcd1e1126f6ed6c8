// SPDX-License-Identifier: Apache-2.0
// The main job, through every process: a pod comes up, answers, is read, and
// goes without a trace.
#include <signal.h>

#include "absl/strings/match.h"
#include "lib/base/file.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class PodTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    if (IsHvt()) SERAI_NEED("kvm");
    // The others leave chains in the machine's firewall.
    NodeOptions options;
    options.chained = {};
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
  }

  static bool IsHvt() { return absl::string_view(GetParam()) == "hvt"; }
  static std::string Guest(absl::string_view name) {
    return absl::StrCat(name, ".", GetParam());
  }

  std::unique_ptr<TestNode> node_;
};

INSTANTIATE_TEST_SUITE_P(Targets, PodTest, ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(PodTest, AWebPodAnswersLogsAndGoes) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {Guest("web")}));
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", image));
  ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(web.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_THAT(page, HasSubstr(web.ip));

  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  EXPECT_EQ(status.state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(status.image_id(), image);
  ASSERT_OK_AND_ASSIGN(const std::string log,
                       ReadFile(status.log_path(), 1 << 20));
  EXPECT_THAT(log, HasSubstr(" stdout F web: listening on"));
  EXPECT_THAT(log, HasSubstr(web.ip));

  EXPECT_OK(node_->StopContainer(web.container, 2));
  ASSERT_OK_AND_ASSIGN(const auto stopped, node_->StatusOf(web.container));
  EXPECT_EQ(stopped.state(), cri::CONTAINER_EXITED);
  EXPECT_OK(node_->StopPod(web.pod));
  EXPECT_OK(node_->RemovePod(web.pod));
  EXPECT_TRUE(node_->Pods().empty());
  EXPECT_TRUE(node_->Containers().empty());
}

TEST_P(PodTest, TheGuestsExitStatusIsTheContainers) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("exit", {Guest("exit")}));
  ASSERT_OK_AND_ASSIGN(const auto good,
                       node_->Run("good", image, {"--status=0"}));
  ASSERT_OK_AND_ASSIGN(auto status, node_->WaitExited(good.container));
  EXPECT_EQ(status.exit_code(), 0);
  EXPECT_EQ(status.reason(), "Completed");
  EXPECT_GT(status.finished_at(), status.created_at());

  ASSERT_OK_AND_ASSIGN(const auto bad,
                       node_->Run("bad", image, {"--status=7"}));
  ASSERT_OK_AND_ASSIGN(status, node_->WaitExited(bad.container));
  EXPECT_EQ(status.exit_code(), 7);
  EXPECT_EQ(status.reason(), "Error");
}

TEST_P(PodTest, GuestsWithFloatingPointAndTheirOwnTrapsRun) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("sse", {Guest("sse")}));
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("sse", image));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->WaitExited(run.container));
  EXPECT_EQ(status.exit_code(), 0) << status.message();
  ASSERT_OK_AND_ASSIGN(const std::string log,
                       ReadFile(status.log_path(), 1 << 20));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

TEST_P(PodTest, AFailedContainerIsStartedAnewInItsPod) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {Guest("web")}));
  ASSERT_OK_AND_ASSIGN(const auto first, node_->Run("again", image));
  ASSERT_OK(HttpGetRetried(first.ip, 80, "/"));
  (void)HttpGet(first.ip, 80, "/exit?code=3");
  ASSERT_OK_AND_ASSIGN(const auto ended, node_->WaitExited(first.container));
  EXPECT_EQ(ended.exit_code(), 3);

  auto config = node_->ContainerConfig(image, {});
  config.mutable_metadata()->set_attempt(1);
  config.set_log_path("c/1.log");
  ASSERT_OK_AND_ASSIGN(const std::string second,
                       node_->Create(first.pod, config));
  ASSERT_OK(node_->StartContainer(second));
  ASSERT_OK_AND_ASSIGN(const std::string page,
                       HttpGetRetried(first.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_OK(node_->RemoveContainer(first.container));
}

TEST_P(PodTest, PodsSurviveTheDaemonsDeath) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {Guest("web")}));
  ASSERT_OK_AND_ASSIGN(const auto stays, node_->Run("stays", image));
  ASSERT_OK_AND_ASSIGN(const auto ends, node_->Run("ends", image));
  ASSERT_OK(HttpGetRetried(stays.ip, 80, "/"));
  ASSERT_OK(HttpGetRetried(ends.ip, 80, "/"));
  node_->Stop(SIGKILL);
  EXPECT_OK(HttpGet(stays.ip, 80, "/"));
  (void)HttpGet(ends.ip, 80, "/exit?code=5");
  node_->Start();

  ASSERT_OK_AND_ASSIGN(const auto running, node_->StatusOf(stays.container));
  EXPECT_EQ(running.state(), cri::CONTAINER_RUNNING);
  ASSERT_OK_AND_ASSIGN(const auto pod, node_->PodStatusOf(stays.pod));
  EXPECT_EQ(pod.state(), cri::SANDBOX_READY);
  EXPECT_EQ(pod.network().ip(), stays.ip);
  ASSERT_OK_AND_ASSIGN(const auto exited, node_->WaitExited(ends.container));
  EXPECT_EQ(exited.exit_code(), 5);
  EXPECT_OK(node_->StopContainer(stays.container, 2));
}

}  // namespace
}  // namespace serai::testing
