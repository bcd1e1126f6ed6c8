// SPDX-License-Identifier: Apache-2.0
// A node whose kubelet talks to seraid, with Debian's containerd behind it:
// unikernels and ordinary pods by one socket.
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/http_get.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_containerd.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kRunc[] = "";  // no RuntimeClass
constexpr absl::Duration kPatience = absl::Seconds(20);

class PassThroughTest : public ContainerdTest {
 protected:
  void SetUp() override {
    ContainerdTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    NodeOptions options;
    options.chained = {};
    options.pods_cgroup = containerd_->cgroup();
    options.more_config = absl::StrCat(
        "[passthrough]\nsocket = \"", containerd_->socket(),
        "\"\nsnapshotter = \"", containerd_->snapshotter(), "\"\n");
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    const auto web = containerd_->ImportGuests("web", {"web.hvt", "web.spt"});
    ASSERT_OK(web);
    web_ = *web;
  }

  void TearDown() override { node_.reset(); }

  // Both kinds of pods, running.
  void RunBoth() {
    ASSERT_OK_AND_ASSIGN(plain_, node_->Run("plain", kPlainImage, {}, kRunc));
    ASSERT_OK_AND_ASSIGN(unikernel_, node_->Run("web", web_));
    ASSERT_OK(HttpGetRetried(unikernel_.ip, 80, "/"));
  }

  absl::StatusOr<std::vector<std::string>> PodIds(
      const cri::PodSandboxFilter& filter = {}) {
    Call call;
    cri::ListPodSandboxRequest request;
    *request.mutable_filter() = filter;
    cri::ListPodSandboxResponse response;
    RETURN_IF_ERROR(FromGrpc(
        node_->runtime().ListPodSandbox(call.get(), request, &response)));
    std::vector<std::string> ids;
    for (const auto& pod : response.items()) ids.push_back(pod.id());
    return ids;
  }

  absl::StatusOr<std::vector<std::string>> ContainerIds(
      const cri::ContainerFilter& filter = {}) {
    Call call;
    cri::ListContainersRequest request;
    *request.mutable_filter() = filter;
    cri::ListContainersResponse response;
    RETURN_IF_ERROR(FromGrpc(
        node_->runtime().ListContainers(call.get(), request, &response)));
    std::vector<std::string> ids;
    for (const auto& container : response.containers()) {
      ids.push_back(container.id());
    }
    return ids;
  }

  cri::StatusResponse NodeStatus() {
    Call call;
    cri::StatusRequest request;
    request.set_verbose(true);
    cri::StatusResponse response;
    EXPECT_OK(
        FromGrpc(node_->runtime().Status(call.get(), request, &response)));
    return response;
  }

  static const cri::RuntimeCondition& Condition(const cri::StatusResponse& all,
                                                absl::string_view type) {
    const auto& conditions = all.status().conditions();
    const auto found =
        std::find_if(conditions.begin(), conditions.end(),
                     [&](const auto& c) { return c.type() == type; });
    return found == conditions.end() ? cri::RuntimeCondition::default_instance()
                                     : *found;
  }

  std::unique_ptr<TestNode> node_;
  std::string web_;
  CriClient::Running plain_;
  CriClient::Running unikernel_;
};

TEST_F(PassThroughTest, PodsOfBothKindsLiveSideBySide) {
  ASSERT_NO_FATAL_FAILURE(RunBoth());
  EXPECT_THAT(*PodIds(), UnorderedElementsAre(plain_.pod, unikernel_.pod));
  EXPECT_THAT(*ContainerIds(),
              UnorderedElementsAre(plain_.container, unikernel_.container));
  // What is containerd's it has itself, and nothing more.
  ASSERT_EQ(containerd_->Pods().size(), 1U);
  EXPECT_EQ(containerd_->Pods()[0].id(), plain_.pod);
  ASSERT_OK_AND_ASSIGN(const auto plain, node_->StatusOf(plain_.container));
  EXPECT_EQ(plain.state(), cri::CONTAINER_RUNNING);
  ASSERT_OK_AND_ASSIGN(const auto web, node_->StatusOf(unikernel_.container));
  EXPECT_EQ(web.state(), cri::CONTAINER_RUNNING);
  ASSERT_OK_AND_ASSIGN(const auto pod, node_->PodStatusOf(unikernel_.pod));
  EXPECT_EQ(pod.runtime_handler(), "unikernel");

  EXPECT_OK(node_->StopContainer(plain_.container, 5));
  ASSERT_OK_AND_ASSIGN(const auto ended, node_->StatusOf(plain_.container));
  EXPECT_EQ(ended.exit_code(), 0);
  EXPECT_OK(node_->RemovePod(plain_.pod));
  EXPECT_THAT(*PodIds(), UnorderedElementsAre(unikernel_.pod));
  EXPECT_OK(HttpGet(unikernel_.ip, 80, "/"));
  EXPECT_OK(node_->RemovePod(unikernel_.pod));
  EXPECT_THAT(*PodIds(), IsEmpty());
}

TEST_F(PassThroughTest, FiltersHoldForBoth) {
  ASSERT_NO_FATAL_FAILURE(RunBoth());
  for (const auto& run : {plain_, unikernel_}) {
    cri::PodSandboxFilter by_pod;
    by_pod.set_id(run.pod);
    EXPECT_THAT(*PodIds(by_pod), UnorderedElementsAre(run.pod));
    cri::ContainerFilter by_its_pod;
    by_its_pod.set_pod_sandbox_id(run.pod);
    EXPECT_THAT(*ContainerIds(by_its_pod), UnorderedElementsAre(run.container));
    cri::ContainerFilter by_container;
    by_container.set_id(run.container);
    EXPECT_THAT(*ContainerIds(by_container),
                UnorderedElementsAre(run.container));
    // As people give them.
    by_container.set_id(run.container.substr(0, 13));
    EXPECT_THAT(*ContainerIds(by_container),
                UnorderedElementsAre(run.container));
    EXPECT_OK(node_->StatusOf(run.container.substr(0, 13)));
  }
  cri::ContainerFilter running;
  running.mutable_state()->set_state(cri::CONTAINER_RUNNING);
  EXPECT_THAT(*ContainerIds(running),
              UnorderedElementsAre(plain_.container, unikernel_.container));
  running.mutable_state()->set_state(cri::CONTAINER_EXITED);
  EXPECT_THAT(*ContainerIds(running), IsEmpty());

  Call call;
  cri::ListContainerStatsResponse stats;
  ASSERT_OK(
      FromGrpc(node_->runtime().ListContainerStats(call.get(), {}, &stats)));
  std::vector<std::string> ids;
  for (const auto& s : stats.stats()) ids.push_back(s.attributes().id());
  EXPECT_THAT(ids,
              UnorderedElementsAre(plain_.container, unikernel_.container));
}

TEST_F(PassThroughTest, ExecReachesAnOrdinaryPodAndIsRefusedForAUnikernel) {
  ASSERT_NO_FATAL_FAILURE(RunBoth());
  cri::ExecSyncRequest request;
  request.set_container_id(plain_.container);
  for (const char* word : {"/plain", "3"}) request.add_cmd(word);
  cri::ExecSyncResponse response;
  {
    Call call;
    ASSERT_OK(
        FromGrpc(node_->runtime().ExecSync(call.get(), request, &response)));
  }
  EXPECT_EQ(response.exit_code(), 3);
  EXPECT_EQ(response.stdout(), "plain: an ordinary process\n");
  {
    Call call;
    request.set_container_id(unikernel_.container);
    EXPECT_THAT(
        FromGrpc(node_->runtime().ExecSync(call.get(), request, &response)),
        HasStatus(absl::StatusCode::kUnimplemented, "no processes"));
  }
  // The URL is containerd's own, for its own server.
  Call call;
  cri::ExecRequest exec;
  exec.set_container_id(plain_.container);
  exec.add_cmd("/plain");
  exec.set_stdout(true);
  cri::ExecResponse url;
  ASSERT_OK(FromGrpc(node_->runtime().Exec(call.get(), exec, &url)));
  EXPECT_THAT(url.url(), HasSubstr("/exec/"));
}

TEST_F(PassThroughTest, TheNodeIsDescribedAsOne) {
  const cri::StatusResponse status = NodeStatus();
  EXPECT_TRUE(Condition(status, "RuntimeReady").status());
  EXPECT_TRUE(Condition(status, "NetworkReady").status());
  EXPECT_EQ(status.status().conditions_size(), 2);
  EXPECT_EQ(status.info().count("serai"), 1U);
  EXPECT_EQ(status.info().count("config"), 1U) << "containerd's";
  std::vector<std::string> handlers;
  for (const auto& h : status.runtime_handlers()) handlers.push_back(h.name());
  EXPECT_THAT(handlers, Contains("unikernel"));

  Call call;
  cri::ListImagesResponse images;
  ASSERT_OK(FromGrpc(node_->images().ListImages(call.get(), {}, &images)));
  std::vector<std::string> tags;
  for (const auto& image : images.images()) {
    tags.insert(tags.end(), image.repo_tags().begin(), image.repo_tags().end());
  }
  EXPECT_THAT(tags, Contains(kPlainImage));
  Call version_call;
  cri::VersionResponse version;
  ASSERT_OK(
      FromGrpc(node_->runtime().Version(version_call.get(), {}, &version)));
  EXPECT_EQ(version.runtime_name(), "serai");
  const auto pod = node_->RunPod("unknown", "no-such-handler");
  EXPECT_THAT(std::string(pod.status().message()),
              HasSubstr("no-such-handler"));
}

// seraid's own store is not where anything is looked for.
TEST_F(PassThroughTest, ImagesAreLoadedIntoContainerdAlone) {
  Call call;
  control::v1::LoadImageResponse response;
  const auto writer = node_->control().LoadImage(call.get(), &response);
  control::v1::LoadImageRequest piece;
  piece.set_data("x");
  writer->Write(piece);
  writer->WritesDone();
  EXPECT_THAT(FromGrpc(writer->Finish()),
              HasStatus(absl::StatusCode::kUnimplemented,
                        "`ctr -n k8s.io images import FILE`"));
}

TEST_F(PassThroughTest, AKilledContainerdLeavesOurPodsAloneAndIsFoundAgain) {
  ASSERT_NO_FATAL_FAILURE(RunBoth());
  containerd_->Stop(SIGKILL);
  EXPECT_OK(HttpGet(unikernel_.ip, 80, "/"));
  EXPECT_OK(node_->StatusOf(unikernel_.container));
  EXPECT_THAT(
      node_->StatusOf(plain_.container),
      HasStatus(absl::StatusCode::kUnavailable, "containerd.sock) does not"));
  // A list without containerd's pods would have kubelet think they are dead.
  EXPECT_THAT(PodIds(), HasStatus(absl::StatusCode::kUnavailable, "does not"));
  EXPECT_THAT(ContainerIds(),
              HasStatus(absl::StatusCode::kUnavailable, "does not"));
  const cri::StatusResponse down = NodeStatus();
  EXPECT_FALSE(Condition(down, "RuntimeReady").status());
  EXPECT_EQ(Condition(down, "RuntimeReady").reason(), "ContainerdUnavailable");
  // A unikernel goes all the same. For a new one its image is lacking.
  ASSERT_OK_AND_ASSIGN(const std::string second, node_->RunPod("second"));
  EXPECT_THAT(node_->Create(second, node_->ContainerConfig(web_, {})),
              HasStatus(absl::StatusCode::kUnavailable,
                        "containerd does not answer on"));
  EXPECT_OK(node_->RemovePod(second));

  containerd_->Start();
  const absl::Time deadline = absl::Now() + kPatience;
  while (!Condition(NodeStatus(), "RuntimeReady").status()) {
    ASSERT_LT(absl::Now(), deadline);
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_THAT(*PodIds(), UnorderedElementsAre(plain_.pod, unikernel_.pod));
  ASSERT_OK_AND_ASSIGN(const auto plain, node_->StatusOf(plain_.container));
  EXPECT_EQ(plain.state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(HttpGet(unikernel_.ip, 80, "/"));
}

TEST_F(PassThroughTest, AKilledSeraidLeavesBothKindsRunning) {
  ASSERT_NO_FATAL_FAILURE(RunBoth());
  node_->Stop(SIGKILL);
  EXPECT_OK(HttpGet(unikernel_.ip, 80, "/"));
  node_->Start();
  EXPECT_THAT(*PodIds(), UnorderedElementsAre(plain_.pod, unikernel_.pod));
  for (const auto& run : {plain_, unikernel_}) {
    ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
    EXPECT_EQ(status.state(), cri::CONTAINER_RUNNING);
    EXPECT_OK(node_->RemovePod(run.pod));
  }
}

TEST_F(PassThroughTest, SeraidStartsBeforeContainerd) {
  node_->Stop(SIGTERM);
  containerd_->Stop(SIGTERM);
  node_->Start();
  EXPECT_FALSE(Condition(NodeStatus(), "RuntimeReady").status());
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("web"));
  containerd_->Start();
  const absl::Time deadline = absl::Now() + kPatience;
  while (!PodIds().ok()) {
    ASSERT_LT(absl::Now(), deadline);
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_THAT(*PodIds(), UnorderedElementsAre(pod));
  EXPECT_OK(node_->Create(pod, node_->ContainerConfig(web_, {})));
}

}  // namespace
}  // namespace serai::testing
