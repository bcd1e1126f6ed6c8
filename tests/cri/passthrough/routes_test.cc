// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/routes.h"

#include <google/protobuf/descriptor.h>

#include "proto/cri/service.pb.h"
#include "tests/cri/passthrough/fake_ours.h"
#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::FakeOurs;
using ::serai::testing::kOurContainer;
using ::serai::testing::kOurPod;

constexpr char kTheirId[] = "feed";

Target Route(const std::string& method, const google::protobuf::Message& m) {
  const auto target = TargetOf(RuleOf("/runtime.v1.RuntimeService/" + method),
                               m.SerializeAsString(), FakeOurs());
  EXPECT_OK(target);
  return target.value_or(Target::kBoth);
}

template <typename Request>
Target ByPod(const std::string& method, const std::string& id) {
  Request request;
  request.set_pod_sandbox_id(id);
  return Route(method, request);
}

template <typename Request>
Target ByContainer(const std::string& method, const std::string& id) {
  Request request;
  request.set_container_id(id);
  return Route(method, request);
}

TEST(RoutesTest, PodsOfOurHandlersAreOurs) {
  runtime::v1::RunPodSandboxRequest request;
  EXPECT_EQ(Route("RunPodSandbox", request), Target::kContainerd);
  request.set_runtime_handler("runc");
  EXPECT_EQ(Route("RunPodSandbox", request), Target::kContainerd);
  request.set_runtime_handler("unikernel");
  request.mutable_config()->set_hostname("h");
  EXPECT_EQ(Route("RunPodSandbox", request), Target::kLocal);
  runtime::v1::RestorePodRequest restore;
  restore.set_checkpoint_path("/x");
  EXPECT_EQ(Route("RestorePod", restore), Target::kContainerd);
  restore.set_runtime_handler("unikernel");
  EXPECT_EQ(Route("RestorePod", restore), Target::kLocal);
}

TEST(RoutesTest, CallsWithAnIdGoToItsOwner) {
  using namespace runtime::v1;  // NOLINT(google-build-using-namespace)
  for (const auto& [id, target] : {std::pair{kOurPod, Target::kLocal},
                                   {kTheirId, Target::kContainerd},
                                   {"", Target::kContainerd},
                                   {kOurContainer, Target::kContainerd}}) {
#define EXPECT_BY_POD(name) EXPECT_EQ(ByPod<name##Request>(#name, id), target)
    EXPECT_BY_POD(CheckpointPod);
    EXPECT_BY_POD(CreateContainer);
    EXPECT_BY_POD(PodSandboxStats);
    EXPECT_BY_POD(PodSandboxStatus);
    EXPECT_BY_POD(PortForward);
    EXPECT_BY_POD(RemovePodSandbox);
    EXPECT_BY_POD(StopPodSandbox);
    EXPECT_BY_POD(UpdatePodSandboxResources);
#undef EXPECT_BY_POD
  }
  for (const auto& [id, target] : {std::pair{kOurContainer, Target::kLocal},
                                   {kTheirId, Target::kContainerd},
                                   {"", Target::kContainerd},
                                   {kOurPod, Target::kContainerd}}) {
#define EXPECT_BY_CONTAINER(name) \
  EXPECT_EQ(ByContainer<name##Request>(#name, id), target)
    EXPECT_BY_CONTAINER(Attach);
    EXPECT_BY_CONTAINER(CheckpointContainer);
    EXPECT_BY_CONTAINER(ContainerStats);
    EXPECT_BY_CONTAINER(ContainerStatus);
    EXPECT_BY_CONTAINER(Exec);
    EXPECT_BY_CONTAINER(ExecSync);
    EXPECT_BY_CONTAINER(RemoveContainer);
    EXPECT_BY_CONTAINER(ReopenContainerLog);
    EXPECT_BY_CONTAINER(StartContainer);
    EXPECT_BY_CONTAINER(StopContainer);
    EXPECT_BY_CONTAINER(UpdateContainerResources);
#undef EXPECT_BY_CONTAINER
  }
}

TEST(RoutesTest, AListIsOursAloneWhenItsFilterNamesOurs) {
  runtime::v1::ListContainersRequest containers;
  EXPECT_EQ(Route("ListContainers", containers), Target::kBoth);
  containers.mutable_filter()->set_pod_sandbox_id(kOurPod);
  EXPECT_EQ(Route("ListContainers", containers), Target::kLocal);
  EXPECT_EQ(Route("StreamContainers", containers), Target::kLocal);
  // A beginning of an id may be one of theirs as well.
  containers.mutable_filter()->set_pod_sandbox_id("ab");
  EXPECT_EQ(Route("ListContainers", containers), Target::kBoth);
  containers.mutable_filter()->set_id(kOurContainer);
  EXPECT_EQ(Route("ListContainers", containers), Target::kLocal);

  runtime::v1::ListPodSandboxRequest pods;
  pods.mutable_filter()->set_id(kTheirId);
  EXPECT_EQ(Route("ListPodSandbox", pods), Target::kBoth);
  pods.mutable_filter()->set_id(kOurPod);
  EXPECT_EQ(Route("ListPodSandbox", pods), Target::kLocal);
  EXPECT_EQ(Route("StreamPodSandboxes", pods), Target::kLocal);

  runtime::v1::ListPodSandboxStatsRequest pod_stats;
  pod_stats.mutable_filter()->set_id(kOurPod);
  EXPECT_EQ(Route("ListPodSandboxStats", pod_stats), Target::kLocal);
  EXPECT_EQ(Route("StreamPodSandboxStats", pod_stats), Target::kLocal);

  runtime::v1::ListContainerStatsRequest stats;
  stats.mutable_filter()->set_pod_sandbox_id(kOurPod);
  EXPECT_EQ(Route("ListContainerStats", stats), Target::kLocal);
  stats.mutable_filter()->set_pod_sandbox_id(kTheirId);
  EXPECT_EQ(Route("ListContainerStats", stats), Target::kBoth);
  stats.mutable_filter()->set_id(kOurContainer);
  EXPECT_EQ(Route("StreamContainerStats", stats), Target::kLocal);
}

TEST(RoutesTest, EveryMethodOfTheRuntimeServiceHasItsRule) {
  // The linker leaves a file without messages out unless it is asked for.
  ASSERT_NE(descriptor_table_proto_2fcri_2fservice_2eproto.filename, nullptr);
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          "runtime.v1.RuntimeService");
  ASSERT_NE(service, nullptr);
  for (int i = 0; i < service->method_count(); ++i) {
    const std::string name = service->method(i)->name();
    EXPECT_NE(RuleOf("/runtime.v1.RuntimeService/" + name).kind,
              Kind::kContainerd)
        << name;
  }
}

TEST(RoutesTest, ImagesAndWhatIsUnknownAreContainerds) {
  for (const char* method : {"/runtime.v1.ImageService/PullImage",
                             "/runtime.v1.ImageService/StreamImages",
                             "/runtime.v1.RuntimeService/OfTheFuture",
                             "/runtime.v1alpha2.RuntimeService/Version",
                             "/other.v1.Thing/Version", "", "nonsense"}) {
    EXPECT_EQ(RuleOf(method).kind, Kind::kContainerd) << method;
    const auto target = TargetOf(RuleOf(method), "\xff", FakeOurs());
    ASSERT_OK(target);
    EXPECT_EQ(*target, Target::kContainerd);
  }
}

TEST(RoutesTest, OurOwnServicesAreOurs) {
  EXPECT_EQ(RuleOf("/serai.control.v1.Control/LoadImage").kind, Kind::kLocal);
  EXPECT_EQ(RuleOf("/runtime.v1.RuntimeService/Version").kind, Kind::kLocal);
}

}  // namespace
}  // namespace serai::cri
