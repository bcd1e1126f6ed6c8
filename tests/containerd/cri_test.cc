// SPDX-License-Identifier: Apache-2.0
// A kubelet's view of a node whose containerd has our handler: pods of the
// handler and ordinary ones beside each other.
#include <string>

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

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kRunc[] = "";  // no RuntimeClass

class CriTest : public ContainerdTest {
 protected:
  // The log once it holds `text`, or what it holds after a while.
  std::string LogWith(const std::string& container, absl::string_view text) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    std::string log;
    do {
      const auto status = containerd_->StatusOf(container);
      if (!status.ok()) return status.status().ToString();
      log = ReadFile(status->log_path(), 1 << 20).value_or("");
      if (absl::StrContains(log, text)) return log;
      absl::SleepFor(absl::Milliseconds(20));
    } while (absl::Now() < deadline);
    return log;
  }
};

TEST_F(CriTest, APodWithoutRuntimeClassRunsByRunc) {
  // The first pod leaves a bridge and directories.
  ASSERT_OK_AND_ASSIGN(const auto first,
                       containerd_->Run("first", kPlainImage, {}, kRunc));
  ASSERT_OK(containerd_->RemovePod(first.pod));
  const Snapshot before = containerd_->TakeSnapshot();
  ASSERT_OK_AND_ASSIGN(const auto run,
                       containerd_->Run("plain", kPlainImage, {}, kRunc));
  EXPECT_THAT(LogWith(run.container, "ordinary"),
              HasSubstr(" stdout F plain: an ordinary process\n"));
  EXPECT_OK(containerd_->StopContainer(run.container, 5));
  ASSERT_OK_AND_ASSIGN(const auto status, containerd_->StatusOf(run.container));
  EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 0);
  EXPECT_OK(containerd_->StopPod(run.pod));
  EXPECT_OK(containerd_->RemovePod(run.pod));
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

class HandlerTest : public CriTest,
                    public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (absl::string_view(GetParam()) == "hvt") SERAI_NEED("kvm");
    CriTest::SetUp();
  }

  std::string Import(const std::string& name) {
    const auto image =
        containerd_->ImportGuests(name, {absl::StrCat(name, ".", GetParam())});
    EXPECT_OK(image);
    return image.value_or("");
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, HandlerTest, ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(HandlerTest, AWebPodAnswersLogsCountsAndGoes) {
  const std::string image = Import("web");
  // The first pod leaves a bridge and directories.
  ASSERT_OK_AND_ASSIGN(const auto first, containerd_->Run("first", image));
  ASSERT_OK(HttpGetRetried(first.ip, 80, "/"));
  ASSERT_OK(containerd_->RemovePod(first.pod));
  const Snapshot before = containerd_->TakeSnapshot();

  ASSERT_OK_AND_ASSIGN(const auto web, containerd_->Run("web", image));
  ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(web.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_THAT(page, HasSubstr(web.ip));

  ASSERT_OK_AND_ASSIGN(const auto status, containerd_->StatusOf(web.container));
  EXPECT_EQ(status.state(), cri::CONTAINER_RUNNING);
  EXPECT_THAT(LogWith(web.container, "web: listening on"),
              ContainsRegex("[-0-9]+T[:0-9.]+Z stdout F web: listening on"));

  ASSERT_OK_AND_ASSIGN(const auto stats, containerd_->StatsOf(web.container));
  EXPECT_GT(stats.cpu().usage_core_nano_seconds().value(), 0U);
  EXPECT_GT(stats.memory().working_set_bytes().value(), 0U);
  ASSERT_OK_AND_ASSIGN(const auto pod, containerd_->PodStatusOf(web.pod));
  EXPECT_EQ(pod.state(), cri::SANDBOX_READY);
  EXPECT_EQ(pod.runtime_handler(), "unikernel");

  EXPECT_OK(containerd_->StopContainer(web.container, 2));
  ASSERT_OK_AND_ASSIGN(const auto stopped,
                       containerd_->StatusOf(web.container));
  EXPECT_EQ(stopped.state(), cri::CONTAINER_EXITED);
  EXPECT_OK(containerd_->StopPod(web.pod));
  ASSERT_OK_AND_ASSIGN(const auto ended, containerd_->PodStatusOf(web.pod));
  EXPECT_EQ(ended.state(), cri::SANDBOX_NOTREADY);
  EXPECT_OK(containerd_->RemovePod(web.pod));
  EXPECT_TRUE(containerd_->Pods().empty());
  EXPECT_TRUE(containerd_->Containers().empty());
  EXPECT_THAT(containerd_->LeaksSince(before), IsEmpty());
}

TEST_P(HandlerTest, UnikernelsAndProcessesRunSideBySide) {
  const std::string image = Import("web");
  ASSERT_OK_AND_ASSIGN(const auto plain,
                       containerd_->Run("plain", kPlainImage, {}, kRunc));
  ASSERT_OK_AND_ASSIGN(const auto web, containerd_->Run("web", image));
  EXPECT_OK(HttpGetRetried(web.ip, 80, "/"));
  EXPECT_THAT(LogWith(plain.container, "ordinary"), HasSubstr("ordinary"));
  EXPECT_EQ(containerd_->Pods().size(), 2U);

  EXPECT_OK(containerd_->RemovePod(plain.pod));
  EXPECT_OK(HttpGet(web.ip, 80, "/"));
  EXPECT_OK(containerd_->RemovePod(web.pod));
}

TEST_P(HandlerTest, AFailedContainerIsStartedAnewInItsPod) {
  const std::string image = Import("web");
  ASSERT_OK_AND_ASSIGN(const auto first, containerd_->Run("again", image));
  ASSERT_OK(HttpGetRetried(first.ip, 80, "/"));
  (void)HttpGet(first.ip, 80, "/exit?code=3");
  ASSERT_OK_AND_ASSIGN(const auto ended,
                       containerd_->WaitExited(first.container));
  EXPECT_EQ(ended.exit_code(), 3);

  auto config = containerd_->ContainerConfig(image, {});
  config.mutable_metadata()->set_attempt(1);
  config.set_log_path("c/1.log");
  ASSERT_OK_AND_ASSIGN(const std::string second,
                       containerd_->Create(first.pod, config));
  ASSERT_OK(containerd_->StartContainer(second));
  ASSERT_OK_AND_ASSIGN(const std::string page,
                       HttpGetRetried(first.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_OK(containerd_->RemoveContainer(first.container));
  EXPECT_OK(containerd_->RemovePod(first.pod));
}

TEST_P(HandlerTest, AGuestThatEndsSaysHow) {
  const std::string image = Import("exit");
  ASSERT_OK_AND_ASSIGN(const auto run,
                       containerd_->Run("exit", image, {"--status=7"}));
  ASSERT_OK_AND_ASSIGN(const auto status,
                       containerd_->WaitExited(run.container));
  EXPECT_EQ(status.exit_code(), 7);
  EXPECT_EQ(status.reason(), "Error");
  ASSERT_OK_AND_ASSIGN(const auto pod, containerd_->PodStatusOf(run.pod));
  EXPECT_EQ(pod.state(), cri::SANDBOX_READY);
  EXPECT_OK(containerd_->RemovePod(run.pod));
}

TEST_P(HandlerTest, AnImageWithoutUnikernelIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, containerd_->RunPod("wrong"));
  const auto container =
      containerd_->Create(pod, containerd_->ContainerConfig(kPlainImage, {}));
  ASSERT_OK(container);
  const absl::Status started = containerd_->StartContainer(*container);
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.message()),
              HasSubstr("no unikernel in the image"));
  EXPECT_OK(containerd_->RemovePod(pod));
}

}  // namespace
}  // namespace serai::testing
