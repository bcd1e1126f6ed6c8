// SPDX-License-Identifier: Apache-2.0
// What the router answers out of seraid and containerd together: lists, events,
// Status and Version.
#include <map>
#include <thread>

#include "absl/time/clock.h"
#include "tests/cri/passthrough/router_fixture.h"
#include "tests/cri/passthrough/wire.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

TEST_F(RouterTest, ListsOfBothAreOneList) {
  const std::string theirs = Bytes(1, Bytes(1, "feed") + Bytes(77, "new"));
  Reply reply;
  reply.messages = {theirs};
  containerd_.On(Method("ListPodSandbox"), reply);
  const Outcome outcome = Exchange(Method("ListPodSandbox"));
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_THAT(outcome.messages,
              ElementsAre(Bytes(1, Bytes(1, kOurPod)) + theirs));
}

TEST_F(RouterTest, AListOfOursNeedsNoContainerd) {
  containerd_.Stop();
  const Outcome outcome =
      Exchange(Method("ListPodSandbox"), {Bytes(1, Bytes(1, kOurPod))});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_THAT(outcome.messages, ElementsAre(Bytes(1, Bytes(1, kOurPod))));
}

TEST_F(RouterTest, AListFailsWhenOurPartDoes) {
  local_.list_fails = true;
  Reply reply;
  reply.messages = {Bytes(1, Bytes(1, "feed"))};
  containerd_.On(Method("ListPodSandbox"), reply);
  const Outcome outcome = Exchange(Method("ListPodSandbox"));
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(outcome.status.error_message(), "our list fails");
  EXPECT_THAT(outcome.messages, IsEmpty());
}

TEST_F(RouterTest, AFilterReachesBoth) {
  Reply reply;
  reply.messages = {Bytes(1, Bytes(1, "feed"))};
  containerd_.On(Method("ListPodSandbox"), reply);
  // A filter's state: ours is ready.
  const std::string ready = Bytes(1, Bytes(2, Number(1, v1::SANDBOX_READY)));
  const std::string not_ready =
      Bytes(1, Bytes(2, Number(1, v1::SANDBOX_NOTREADY)));
  EXPECT_THAT(Exchange(Method("ListPodSandbox"), {ready}).messages,
              ElementsAre(Bytes(1, Bytes(1, kOurPod)) + reply.messages[0]));
  EXPECT_THAT(Exchange(Method("ListPodSandbox"), {not_ready}).messages,
              ElementsAre(reply.messages[0]));
  ASSERT_TRUE(containerd_.WaitFor(2));
  EXPECT_THAT(containerd_.received()[1].messages, ElementsAre(not_ready));
}

TEST_F(RouterTest, WithoutContainerdItsCallsAndListsSaySo) {
  containerd_.Stop();
  for (const auto& [method, request] :
       {std::pair{Method("ListPodSandbox"), std::string()},
        {Method("ListContainers"), ""},
        {Method("StreamPodSandboxes"), ""},
        {Method("RuntimeConfig"), ""},
        {Method("UpdateRuntimeConfig"), ""},
        {Method("RunPodSandbox"), ""},
        {Method("ContainerStatus"), Bytes(1, "feed")},
        {"/runtime.v1.ImageService/ListImages", ""},
        {"/of.the.Future/Chat", ""}}) {
    const Outcome outcome = Exchange(method, {request});
    EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::UNAVAILABLE)
        << method;
    EXPECT_THAT(
        outcome.status.error_message(),
        HasSubstr("containerd (" + containerd_socket_ + ") does not answer"))
        << method;
    EXPECT_THAT(outcome.messages, IsEmpty());
  }
  EXPECT_TRUE(Exchange(Method("Version")).status.ok());
  EXPECT_TRUE(
      Exchange(Method("PodSandboxStatus"), {Bytes(1, kOurPod)}).status.ok());
}

TEST_F(RouterTest, AStreamedListIsTheirsAndThenOurs) {
  Reply reply;
  reply.messages = {Bytes(1, Bytes(1, "feed")), Bytes(1, Bytes(1, "f00d"))};
  containerd_.On(Method("StreamPodSandboxes"), reply);
  const Outcome outcome = Exchange(Method("StreamPodSandboxes"));
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_THAT(outcome.messages,
              ElementsAre(reply.messages[0], reply.messages[1],
                          Bytes(1, Bytes(1, kOurPod))));
  // A list that is not whole has to fail.
  reply.status = grpc::Status(grpc::StatusCode::INTERNAL, "half way");
  containerd_.On(Method("StreamPodSandboxes"), reply);
  EXPECT_EQ(Exchange(Method("StreamPodSandboxes")).status.error_message(),
            "half way");
  // Clients that hear this use the unary list.
  reply = Reply();
  reply.status = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "too old");
  containerd_.On(Method("StreamPodSandboxes"), reply);
  const Outcome old = Exchange(Method("StreamPodSandboxes"));
  EXPECT_EQ(old.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(old.messages, IsEmpty());
}

std::string EventOf(const std::string& container) {
  return Bytes(1, container);
}

TEST_F(RouterTest, EventsOfBothComeInOneStream) {
  Reply reply;
  reply.hold = true;
  for (int i = 0; i < 50; ++i) {
    reply.messages.push_back(EventOf(absl::StrCat("feed", i)));
  }
  containerd_.On(Method("GetContainerEvents"), reply);
  GenericCall call(channel_, Method("GetContainerEvents"));
  call.Write("");
  call.WritesDone();
  std::vector<std::string> theirs;
  int ours = 0;
  std::string event;
  while ((theirs.size() < reply.messages.size() || ours < 10) &&
         call.Read(event)) {
    if (event == EventOf(kOurContainer)) {
      ++ours;
    } else {
      theirs.push_back(event);
    }
  }
  EXPECT_EQ(theirs, reply.messages);
  EXPECT_GE(ours, 10);
  call.context().TryCancel();
  call.Finish();
}

TEST_F(RouterTest, EventsGoOnWithoutContainerdAndEndWhenItIsBack) {
  Reply reply;
  reply.hold = true;
  reply.messages = {EventOf("feed")};
  containerd_.On(Method("GetContainerEvents"), reply);
  GenericCall call(channel_, Method("GetContainerEvents"));
  call.Write("");
  call.WritesDone();
  std::string event;
  do {
    ASSERT_TRUE(call.Read(event));
  } while (event != EventOf("feed"));
  std::thread stopper([&] { containerd_.Stop(); });
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(call.Read(event)) << i;
  stopper.join();
  EXPECT_EQ(event, EventOf(kOurContainer));
  Reply version;
  version.messages = {""};
  containerd_.On(Method("Version"), version);
  containerd_.Start();
  const grpc::Status status = call.Finish().status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("containerd was away"));
}

TEST_F(RouterTest, EventsAreThereToBeWaitedForBeforeTheFirst) {
  local_.quiet = true;
  Reply reply;
  reply.hold = true;
  containerd_.On(Method("GetContainerEvents"), reply);
  GenericCall call(channel_, Method("GetContainerEvents"));
  call.Write("");
  call.WritesDone();
  EXPECT_TRUE(call.ReadInitialMetadata());
  call.context().TryCancel();
  call.Finish();
}

TEST_F(RouterTest, AContainerdWithoutEventsMakesClientsList) {
  EXPECT_EQ(Exchange(Method("GetContainerEvents")).status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

std::map<std::string, bool> Conditions(const v1::StatusResponse& response) {
  std::map<std::string, bool> conditions;
  for (const auto& condition : response.status().conditions()) {
    EXPECT_EQ(conditions.count(condition.type()), 0U);
    conditions[condition.type()] = condition.status();
  }
  return conditions;
}

TEST_F(RouterTest, StatusHoldsWhatIsTrueOfBoth) {
  v1::StatusResponse theirs;
  auto* ready = theirs.mutable_status()->add_conditions();
  ready->set_type("RuntimeReady");
  ready->set_status(true);
  auto* network = theirs.mutable_status()->add_conditions();
  network->set_type("NetworkReady");
  network->set_reason("NoPlugin");
  auto* of_theirs = theirs.mutable_status()->add_conditions();
  of_theirs->set_type("ContainerdHasNoDeprecationWarnings");
  of_theirs->set_status(true);
  theirs.add_runtime_handlers()->set_name("");
  theirs.add_runtime_handlers()->set_name(kOurHandler);
  theirs.mutable_features()->set_supplemental_groups_policy(true);
  Reply reply;
  reply.messages = {theirs.SerializeAsString() + Bytes(900, "new")};
  containerd_.On(Method("Status"), reply);
  const v1::StatusResponse status = StatusOfNode();
  EXPECT_THAT(
      Conditions(status),
      ElementsAre(Pair("ContainerdHasNoDeprecationWarnings", true),
                  Pair("NetworkReady", false), Pair("RuntimeReady", true)));
  EXPECT_EQ(status.status().conditions(1).reason(), "NoPlugin");
  ASSERT_EQ(status.runtime_handlers_size(), 2);
  EXPECT_EQ(status.runtime_handlers(0).name(), "");
  EXPECT_EQ(status.runtime_handlers(1).name(), kOurHandler);
  EXPECT_TRUE(status.features().supplemental_groups_policy());
  EXPECT_THAT(status.SerializeAsString(), HasSubstr(Bytes(900, "new")));
}

TEST_F(RouterTest, StatusTellsThatContainerdIsDown) {
  containerd_.Stop();
  const v1::StatusResponse status = StatusOfNode();
  EXPECT_THAT(Conditions(status), ElementsAre(Pair("NetworkReady", true),
                                              Pair("RuntimeReady", false)));
  EXPECT_EQ(status.status().conditions(0).reason(), "ContainerdUnavailable");
  EXPECT_THAT(status.status().conditions(0).message(),
              HasSubstr("does not answer"));
  EXPECT_EQ(status.runtime_handlers_size(), 1);
}

TEST_F(RouterTest, WhatContainerdDoesNotStateOfItselfIsNotTrue) {
  Reply reply;
  reply.messages = {""};
  containerd_.On(Method("Status"), reply);
  const v1::StatusResponse status = StatusOfNode();
  EXPECT_THAT(Conditions(status), ElementsAre(Pair("NetworkReady", false),
                                              Pair("RuntimeReady", false)));
  for (const auto& condition : status.status().conditions()) {
    EXPECT_EQ(condition.reason(), "ContainerdFails");
    EXPECT_THAT(condition.message(), HasSubstr("says nothing of it"));
  }
}

TEST_F(RouterTest, AContainerdThatTakesTooLongForItsStatusIsNotReady) {
  Reply reply;
  reply.hold = true;
  containerd_.On(Method("Status"), reply);
  const v1::StatusResponse status = StatusOfNode();
  EXPECT_THAT(Conditions(status), ElementsAre(Pair("NetworkReady", true),
                                              Pair("RuntimeReady", false)));
  EXPECT_EQ(status.status().conditions(0).reason(), "ContainerdUnavailable");
}

TEST_F(RouterTest, TheVersionIsSeraidsAndImagesAreContainerds) {
  v1::VersionResponse version;
  const Outcome outcome = Exchange(Method("Version"));
  ASSERT_THAT(outcome.messages, SizeIs(1));
  ASSERT_TRUE(version.ParseFromString(outcome.messages[0]));
  EXPECT_EQ(version.runtime_name(), "serai");
  Reply reply;
  reply.messages = {"images"};
  containerd_.On("/runtime.v1.ImageService/ListImages", reply);
  EXPECT_THAT(Exchange("/runtime.v1.ImageService/ListImages").messages,
              ElementsAre("images"));
}

}  // namespace
}  // namespace serai::testing
