// SPDX-License-Identifier: Apache-2.0
// The router between a client that knows bytes only, seraid's services, and a
// server in containerd's place.
#include "cri/passthrough/router.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <filesystem>
#include <thread>

#include "absl/time/clock.h"
#include "proto/cri/service.grpc.pb.h"
#include "tests/cri/passthrough/fake_ours.h"
#include "tests/cri/passthrough/generic_call.h"
#include "tests/cri/passthrough/wire.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

namespace v1 = ::runtime::v1;

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

std::string Method(const std::string& name) {
  return "/runtime.v1.RuntimeService/" + name;
}

// Seraid's own side: one pod with one container.
class LocalService final : public v1::RuntimeService::Service {
 public:
  grpc::Status Version(grpc::ServerContext*, const v1::VersionRequest*,
                       v1::VersionResponse* response) override {
    response->set_runtime_name("serai");
    return grpc::Status::OK;
  }
  grpc::Status ListPodSandbox(grpc::ServerContext*,
                              const v1::ListPodSandboxRequest*,
                              v1::ListPodSandboxResponse* response) override {
    response->add_items()->set_id(kOurPod);
    return grpc::Status::OK;
  }
  grpc::Status StreamPodSandboxes(
      grpc::ServerContext*, const v1::StreamPodSandboxesRequest*,
      grpc::ServerWriter<v1::StreamPodSandboxesResponse>* writer) override {
    v1::StreamPodSandboxesResponse response;
    response.add_pod_sandboxes()->set_id(kOurPod);
    writer->Write(response);
    return grpc::Status::OK;
  }
  grpc::Status GetContainerEvents(
      grpc::ServerContext* context, const v1::GetEventsRequest*,
      grpc::ServerWriter<v1::ContainerEventResponse>* writer) override {
    v1::ContainerEventResponse event;
    event.set_container_id(kOurContainer);
    while (!context->IsCancelled() && writer->Write(event)) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    return grpc::Status::OK;
  }
  grpc::Status PodSandboxStatus(
      grpc::ServerContext* context, const v1::PodSandboxStatusRequest*,
      v1::PodSandboxStatusResponse* response) override {
    context->AddInitialMetadata("early", "e");
    context->AddTrailingMetadata("late-bin", std::string("\0l", 2));
    response->mutable_status()->set_id(kOurPod);
    return grpc::Status::OK;
  }
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusResponse* response) override {
    for (const char* type : {"RuntimeReady", "NetworkReady"}) {
      auto* condition = response->mutable_status()->add_conditions();
      condition->set_type(type);
      condition->set_status(true);
    }
    response->add_runtime_handlers()->set_name(kOurHandler);
    return grpc::Status::OK;
  }
};

class RouterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    containerd_.Start();
    ASSERT_OK_AND_ASSIGN(
        router_,
        cri::Router::Start(
            {containerd_socket_, directory_ / "local.sock", {&local_}}, ours_));
    grpc::ServerBuilder builder;
    const std::string address = "unix:" + (directory_ / "seraid.sock");
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(cri::kMaxMessageBytes);
    builder.SetMaxSendMessageSize(cri::kMaxMessageBytes);
    builder.RegisterCallbackGenericService(router_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    grpc::ChannelArguments args;
    args.SetMaxReceiveMessageSize(-1);
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(
        address, grpc::InsecureChannelCredentials(), args);
  }

  ~RouterTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }

  Outcome Exchange(const std::string& method,
                   const std::vector<std::string>& requests = {""},
                   const Metadata& metadata = {}) {
    return GenericCall(channel_, method, metadata).Exchange(requests);
  }

  v1::StatusResponse StatusOfNode() {
    const Outcome outcome = Exchange(Method("Status"));
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
    v1::StatusResponse response;
    if (!outcome.messages.empty()) {
      EXPECT_TRUE(response.ParseFromString(outcome.messages[0]));
    }
    return response;
  }

  const TempDir directory_;
  const std::string containerd_socket_ = directory_ / "containerd.sock";
  FakeServer containerd_{containerd_socket_};
  FakeOurs ours_;
  LocalService local_;
  std::unique_ptr<cri::Router> router_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(RouterTest, AMethodOfTheFutureTravelsWithAllThatBelongsToIt) {
  Reply reply;
  reply.initial = {{"first", "1"}, {"bytes-bin", std::string("\0\xff", 2)}};
  reply.messages = {"one", "", std::string("\0three", 6)};
  reply.trailing = {{"last", "z"}};
  reply.status = grpc::Status(grpc::StatusCode::DATA_LOSS, "as it was said",
                              std::string("det\0ails", 8));
  containerd_.On("/of.the.Future/Chat", reply);
  const Outcome outcome =
      Exchange("/of.the.Future/Chat", {"a", std::string("b\0", 2), ""},
               {{"traceparent", "00-1"}, {"key-bin", std::string("\0\1", 2)}});
  EXPECT_EQ(outcome.messages, reply.messages);
  EXPECT_EQ(outcome.status.error_code(), reply.status.error_code());
  EXPECT_EQ(outcome.status.error_message(), reply.status.error_message());
  EXPECT_EQ(outcome.status.error_details(), reply.status.error_details());
  EXPECT_EQ(outcome.initial, reply.initial);
  EXPECT_THAT(outcome.trailing, Contains(Pair("last", "z")));
  ASSERT_TRUE(containerd_.WaitFor(1));
  const Received received = containerd_.received()[0];
  EXPECT_THAT(received.messages, ElementsAre("a", std::string("b\0", 2), ""));
  EXPECT_THAT(received.metadata, Contains(Pair("traceparent", "00-1")));
  EXPECT_THAT(received.metadata,
              Contains(Pair("key-bin", std::string("\0\1", 2))));
  // Of 60 s, as the client gave it.
  EXPECT_GT(received.deadline, std::chrono::system_clock::now());
  EXPECT_LT(received.deadline,
            std::chrono::system_clock::now() + std::chrono::seconds(61));
}

TEST_F(RouterTest, AnAnswerStartsBeforeTheRequestHasEnded) {
  Reply reply;
  reply.hold = true;
  containerd_.On("/of.the.Future/Watch", reply);
  GenericCall call(channel_, "/of.the.Future/Watch");
  EXPECT_TRUE(call.Write("a"));
  EXPECT_TRUE(call.Write("b"));
  call.WritesDone();
  ASSERT_TRUE(containerd_.WaitForHeld(1));
  call.context().TryCancel();
  EXPECT_EQ(call.Finish().status.error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(RouterTest, FieldsOfTheFutureTravelInKnownMethods) {
  const std::string request = Bytes(1, "feed") + Bytes(900, "new");
  const std::string response = Bytes(1, Bytes(1, "feed")) + Number(901, 5);
  Reply reply;
  reply.messages = {response};
  containerd_.On(Method("ContainerStatus"), reply);
  EXPECT_THAT(Exchange(Method("ContainerStatus"), {request}).messages,
              ElementsAre(response));
  ASSERT_TRUE(containerd_.WaitFor(1));
  EXPECT_THAT(containerd_.received()[0].messages, ElementsAre(request));
}

TEST_F(RouterTest, OurPodsAreAnsweredHereWithTheirMetadata) {
  const Outcome outcome =
      Exchange(Method("PodSandboxStatus"), {Bytes(1, kOurPod)});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_THAT(outcome.messages, SizeIs(1));
  EXPECT_THAT(outcome.initial, Contains(Pair("early", "e")));
  EXPECT_THAT(outcome.trailing,
              Contains(Pair("late-bin", std::string("\0l", 2))));
  EXPECT_THAT(containerd_.received(), IsEmpty());
}

TEST_F(RouterTest, ARequestThatIsNoMessageIsRefused) {
  const Outcome outcome = Exchange(Method("StopPodSandbox"), {"\xff"});
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(outcome.status.error_message(), HasSubstr("no protobuf message"));
  EXPECT_EQ(Exchange(Method("ListContainers"), {"\xff"}).status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(containerd_.received(), IsEmpty());
}

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

TEST_F(RouterTest, WhatContainerdSaysOfItselfIsNotReworded) {
  Reply reply;
  reply.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "its own words");
  containerd_.On("/of.the.Future/Chat", reply);
  EXPECT_EQ(Exchange("/of.the.Future/Chat").status.error_message(),
            "its own words");
}

TEST_F(RouterTest, ContainerdIsFoundAgainByItself) {
  const std::string method = "/of.the.Future/Chat";
  containerd_.On(method, Reply());
  EXPECT_TRUE(Exchange(method).status.ok());
  containerd_.Stop();
  EXPECT_EQ(Exchange(method).status.error_code(),
            grpc::StatusCode::UNAVAILABLE);
  // Long enough for the pauses between its tries to have grown.
  absl::SleepFor(absl::Seconds(2));
  containerd_.Start();
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!Exchange(method).status.ok()) {
    ASSERT_LT(absl::Now(), deadline);
    absl::SleepFor(absl::Milliseconds(20));
  }
}

TEST_F(RouterTest, ACallUnderWayEndsWhenContainerdDoes) {
  Reply reply;
  reply.hold = true;
  containerd_.On("/of.the.Future/Watch", reply);
  GenericCall call(channel_, "/of.the.Future/Watch");
  call.WritesDone();
  ASSERT_TRUE(containerd_.WaitForHeld(1));
  std::thread killer([&] { containerd_.Stop(); });
  const grpc::Status status = call.Finish().status;
  killer.join();
  EXPECT_FALSE(status.ok());
}

TEST_F(RouterTest, BigMessagesPassAndBiggerOnesAreRefused) {
  Reply reply;
  reply.messages = {std::string(15 << 20, 'r')};
  containerd_.On("/of.the.Future/Big", reply);
  const Outcome big =
      Exchange("/of.the.Future/Big", {std::string(15 << 20, 'q')});
  EXPECT_TRUE(big.status.ok()) << big.status.error_message();
  EXPECT_EQ(big.messages, reply.messages);
  ASSERT_TRUE(containerd_.WaitFor(1));
  EXPECT_EQ(containerd_.received()[0].messages[0].size(), size_t{15} << 20);
  const Outcome bigger =
      Exchange("/of.the.Future/Big", {std::string(17 << 20, 'q')});
  EXPECT_EQ(bigger.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  // So are lists that are too long only together.
  reply.messages = {Bytes(1, std::string((16 << 20) - 8, 'r'))};
  containerd_.On(Method("ListPodSandbox"), reply);
  const Outcome list = Exchange(Method("ListPodSandbox"));
  EXPECT_EQ(list.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(list.status.error_message(), HasSubstr("Ask with a filter"));
}

TEST_F(RouterTest, AClientThatHangsUpCancelsContainerdsCall) {
  Reply reply;
  reply.hold = true;
  for (const std::string& method :
       {std::string("/of.the.Future/Watch"), Method("ListContainers"),
        Method("StreamContainers"), Method("GetContainerEvents")}) {
    const size_t before = containerd_.received().size();
    containerd_.On(method, reply);
    {
      GenericCall call(channel_, method);
      call.Write("");
      call.WritesDone();
      ASSERT_TRUE(containerd_.WaitForHeld(1)) << method;
      call.context().TryCancel();
      EXPECT_EQ(call.Finish().status.error_code(), grpc::StatusCode::CANCELLED);
    }
    ASSERT_TRUE(containerd_.WaitFor(before + 1)) << method;
    EXPECT_TRUE(containerd_.received().back().cancelled) << method;
  }
}

TEST_F(RouterTest, ManyCallsUnderWayTakeNoThreadEach) {
  constexpr int kCalls = 200;
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         {});
  };
  Reply reply;
  reply.hold = true;
  containerd_.On("/of.the.Future/Watch", reply);
  std::vector<std::unique_ptr<GenericCall>> calls;
  const auto add = [&] {
    calls.push_back(
        std::make_unique<GenericCall>(channel_, "/of.the.Future/Watch"));
    calls.back()->WritesDone();
  };
  add();
  ASSERT_TRUE(containerd_.WaitForHeld(1));
  const auto before = threads();
  while (calls.size() < kCalls) add();
  ASSERT_TRUE(containerd_.WaitForHeld(kCalls));
  EXPECT_LT(threads(), before + 20);
  for (const auto& call : calls) call->context().TryCancel();
  for (const auto& call : calls) call->Finish();
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

TEST_F(RouterTest, ContextsDontPassOnWhatIsOfTheirConnection) {
  containerd_.On("/of.the.Future/Chat", Reply());
  Exchange("/of.the.Future/Chat", {""}, {{"kept", "k"}});
  ASSERT_TRUE(containerd_.WaitFor(1));
  const Metadata metadata = containerd_.received()[0].metadata;
  EXPECT_EQ(metadata.count("user-agent"), 1U);
  EXPECT_THAT(metadata, Contains(Key("kept")));
  EXPECT_THAT(metadata, Not(Contains(Key("content-type"))));
}

}  // namespace
}  // namespace serai::testing
