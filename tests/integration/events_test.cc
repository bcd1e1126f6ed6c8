// SPDX-License-Identifier: Apache-2.0
// GetContainerEvents as kubelet reads it: whole, in order, with the state of
// the pod; through a restart of the daemon; by several at once, of whom one
// does not read.
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "lib/host/cgroup.h"
#include "tests/support/event_listener.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::ElementsAre;

constexpr cri::ContainerEventType kCreated = cri::CONTAINER_CREATED_EVENT;
constexpr cri::ContainerEventType kStarted = cri::CONTAINER_STARTED_EVENT;
constexpr cri::ContainerEventType kStopped = cri::CONTAINER_STOPPED_EVENT;
constexpr cri::ContainerEventType kDeleted = cri::CONTAINER_DELETED_EVENT;

class EventsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    NodeOptions options;
    options.chained = {};
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    ASSERT_OK_AND_ASSIGN(web_, node_->LoadGuests("web", {"web.spt"}));
    ASSERT_OK_AND_ASSIGN(exit_, node_->LoadGuests("exit", {"exit.spt"}));
  }

  std::unique_ptr<TestNode> node_;
  std::string web_;
  std::string exit_;
};

TEST_F(EventsTest, TheWholeLifeOfAPodIsToldInOrder) {
  EventListener listener(*node_);
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  ASSERT_OK(node_->StopContainer(run.container, 0));
  ASSERT_OK(node_->RemoveContainer(run.container));
  ASSERT_OK(node_->StopPod(run.pod));
  ASSERT_OK(node_->RemovePod(run.pod));
  EXPECT_THAT(listener.Of(run.container, 4),
              ElementsAre(kCreated, kStarted, kStopped, kDeleted));
  EXPECT_THAT(listener.Of(run.pod, 4),
              ElementsAre(kCreated, kStarted, kStopped, kDeleted));

  auto event = listener.Find(run.container, kStopped);
  EXPECT_EQ(event.pod_sandbox_status().id(), run.pod);
  EXPECT_EQ(event.pod_sandbox_status().metadata().name(), "web");
  EXPECT_FALSE(event.pod_sandbox_status().metadata().uid().empty());
  EXPECT_EQ(event.pod_sandbox_status().network().ip(), run.ip);
  ASSERT_EQ(event.containers_statuses_size(), 1);
  EXPECT_EQ(event.containers_statuses(0).id(), run.container);
  EXPECT_EQ(event.containers_statuses(0).state(), cri::CONTAINER_EXITED);
  EXPECT_GT(event.containers_statuses(0).finished_at(), 0);
  // A container that is gone is in no list; a pod that goes still has a name.
  EXPECT_EQ(listener.Find(run.container, kDeleted).containers_statuses_size(),
            0);
  event = listener.Find(run.pod, kDeleted);
  EXPECT_EQ(event.pod_sandbox_status().metadata().name(), "web");
  EXPECT_EQ(event.pod_sandbox_status().state(), cri::SANDBOX_NOTREADY);
}

TEST_F(EventsTest, AGuestThatEndsByItselfIsToldWithItsExitCode) {
  EventListener listener(*node_);
  ASSERT_OK_AND_ASSIGN(const auto run,
                       node_->Run("exit", exit_, {"--status=7"}));
  EXPECT_THAT(listener.Of(run.container, 3),
              ElementsAre(kCreated, kStarted, kStopped));
  const auto event = listener.Find(run.container, kStopped);
  ASSERT_EQ(event.containers_statuses_size(), 1);
  EXPECT_EQ(event.containers_statuses(0).exit_code(), 7);
  EXPECT_EQ(event.containers_statuses(0).reason(), "Error");
}

TEST_F(EventsTest, AContainerThatCannotStartIsToldAsStopped) {
  node_->InjectFault("container.task");
  EventListener listener(*node_);
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("web"));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(pod, node_->ContainerConfig(web_, {})));
  EXPECT_FALSE(node_->StartContainer(container).ok());
  EXPECT_THAT(listener.Of(container, 2), ElementsAre(kCreated, kStopped));
  EXPECT_EQ(listener.Find(container, kStopped).containers_statuses(0).reason(),
            "StartError");
}

TEST_F(EventsTest, EndsThatARestartedDaemonNoticesAreTold) {
  ASSERT_OK_AND_ASSIGN(const auto stays, node_->Run("stays", web_));
  ASSERT_OK_AND_ASSIGN(const auto ends, node_->Run("ends", web_));
  node_->Stop(SIGKILL);
  ASSERT_OK_AND_ASSIGN(const auto cgroups, host::CgroupHierarchy::Detect());
  ASSERT_OK_AND_ASSIGN(const auto tender,
                       host::Cgroup::Open(cgroups, node_->cgroup_parent() +
                                                       "/" + ends.container));
  ASSERT_OK(tender.KillAll());
  node_->Start();
  EventListener listener(*node_);
  EXPECT_THAT(listener.Of(ends.container, 1), ElementsAre(kStopped));
  ASSERT_OK(node_->StopContainer(stays.container, 0));
  EXPECT_THAT(listener.Of(stays.container, 1), ElementsAre(kStopped));
  const auto event = listener.Find(ends.container, kStopped);
  EXPECT_EQ(event.pod_sandbox_status().id(), ends.pod);
  EXPECT_EQ(event.containers_statuses(0).exit_code(), 137);
}

TEST_F(EventsTest, OneThatDoesNotReadHoldsUpNobody) {
  grpc::ClientContext context;
  const auto deaf = node_->runtime().GetContainerEvents(&context, {});
  deaf->WaitForInitialMetadata();
  EventListener listener(*node_);
  // Each event carries them twice, so a few hundred fill window and queue.
  cri::PodSandboxConfig config = node_->PodConfig("large");
  (*config.mutable_annotations())["large"] = std::string(200 << 10, 'x');
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod(config));
  constexpr int kRounds = 40;
  for (int i = 0; i < kRounds; ++i) {
    auto container = node_->ContainerConfig(web_, {});
    container.mutable_metadata()->set_attempt(static_cast<uint32_t>(i));
    ASSERT_OK_AND_ASSIGN(const std::string id, node_->Create(pod, container));
    ASSERT_OK(node_->RemoveContainer(id));
    EXPECT_THAT(listener.Of(id, 2), ElementsAre(kCreated, kDeleted));
  }
  // Once it reads again it gets what was under way, and then is told.
  cri::ContainerEventResponse event;
  int read = 0;
  while (deaf->Read(&event)) ++read;
  EXPECT_LT(read, 2 * kRounds);
  EXPECT_THAT(FromGrpc(deaf->Finish()),
              HasStatus(absl::StatusCode::kResourceExhausted, "anew"));
}

TEST_F(EventsTest, TheStreamEndsWithTheDaemonAtOnce) {
  EventListener listener(*node_);
  const absl::Time start = absl::Now();
  ::kill(node_->pid(), SIGTERM);
  EXPECT_THAT(listener.End(),
              HasStatus(absl::StatusCode::kUnavailable, "stopping"));
  // Calls under way are given five seconds. The daemon's own end waits as long
  // for clients that, as this one, hold a connection and don't read from it.
  EXPECT_LT(absl::Now() - start, absl::Seconds(4));
  node_->Stop(SIGTERM);
  node_->Start();
}

TEST_F(EventsTest, ASubscriberThatGoesIsForgotten) {
  for (int i = 0; i < 100; ++i) {
    grpc::ClientContext context;
    const auto stream = node_->runtime().GetContainerEvents(&context, {});
    stream->WaitForInitialMetadata();
    context.TryCancel();
    EXPECT_TRUE(absl::IsCancelled(FromGrpc(stream->Finish())));
  }
  EventListener listener(*node_);
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("web"));
  EXPECT_THAT(listener.Of(pod, 2), ElementsAre(kCreated, kStarted));
}

}  // namespace
}  // namespace serai::testing
