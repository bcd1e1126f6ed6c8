// SPDX-License-Identifier: Apache-2.0
// One call through the router: where it goes, and all that travels with it.
#include <filesystem>
#include <thread>

#include "absl/time/clock.h"
#include "tests/cri/passthrough/router_fixture.h"
#include "tests/cri/passthrough/wire.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

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

TEST_F(RouterTest, WhatContainerdSaysOfItselfIsNotReworded) {
  Reply reply;
  reply.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "its own words");
  containerd_.On("/of.the.Future/Chat", reply);
  EXPECT_EQ(Exchange("/of.the.Future/Chat").status.error_message(),
            "its own words");
}

TEST_F(RouterTest, LongMessagesOfErrorsAndMetadataPass) {
  Reply reply;
  reply.status = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                              std::string(20 << 10, 'w'));
  reply.trailing = {{"last", std::string(20 << 10, 'z')}};
  containerd_.On("/of.the.Future/Chat", reply);
  const Outcome outcome = Exchange("/of.the.Future/Chat");
  EXPECT_EQ(outcome.status.error_code(), reply.status.error_code());
  EXPECT_TRUE(outcome.status.error_message() == reply.status.error_message())
      << outcome.status.error_message().substr(0, 200);
  EXPECT_THAT(outcome.trailing, Contains(Key("last")));
  const Outcome ours = Exchange(Method("PodSandboxStatus"), {Bytes(1, kOurPod)},
                                {{"first", std::string(20 << 10, 'f')}});
  EXPECT_TRUE(ours.status.ok()) << ours.status.error_message();
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
