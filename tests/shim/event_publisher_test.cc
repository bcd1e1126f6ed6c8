// SPDX-License-Identifier: Apache-2.0
// Events to a server that goes away, comes back, is slow and refuses.
#include "shim/event_publisher.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/ttrpc/server.h"
#include "shim/socket.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr absl::Duration kPatience = absl::Seconds(10);

class EventPublisherTest : public ::testing::Test {
 protected:
  EventPublisherTest() : loop_(*EventLoop::Create()) {}

  std::string path() const { return dir_ / "containerd.sock.ttrpc"; }

  // As containerd's: takes Forward calls; `answer_` says what becomes of them.
  void StartServer() {
    server_ = std::make_unique<ttrpc::Server>(
        *loop_, [this](const ttrpc::Call& call, ttrpc::Server::Reply reply) {
          EXPECT_EQ(call.service, "containerd.services.events.ttrpc.v1.Events");
          EXPECT_EQ(call.method, "Forward");
          events::ForwardRequest request;
          EXPECT_TRUE(request.ParseFromString(call.request));
          taken_.push_back(request.envelope());
          if (answer_ != nullptr) answer_(std::move(reply));
          if (enough_ != 0 && taken_.size() >= enough_) loop_->Stop();
        });
    auto listener = ListenAt(path());
    ASSERT_OK(listener);
    ASSERT_OK(server_->Listen(*std::move(listener)));
  }

  void StopServer() {
    server_.reset();
    ASSERT_OK(RemovePath(path()));
  }

  void PublishStart(EventPublisher& publisher, uint32_t pid) {
    events::TaskStart event;
    event.set_container_id("c");
    event.set_pid(pid);
    publisher.Publish(event);
  }

  // Runs the loop until `count` calls have come, or `time` is over.
  void Run(size_t count, absl::Duration time = kPatience) {
    enough_ = count;
    const auto timer = loop_->AddTimer(time, [this] { loop_->Stop(); });
    ASSERT_OK(loop_->Run());
    loop_->CancelTimer(timer);
  }

  std::vector<uint32_t> Pids() const {
    std::vector<uint32_t> pids;
    for (const events::Envelope& envelope : taken_) {
      events::TaskStart event;
      EXPECT_TRUE(event.ParseFromString(envelope.event().value()));
      pids.push_back(event.pid());
    }
    return pids;
  }

  static EventPublisher::Limits Quick() {
    EventPublisher::Limits limits;
    limits.answer_time = absl::Milliseconds(200);
    limits.first_retry = absl::Milliseconds(5);
    limits.last_retry = absl::Milliseconds(20);
    return limits;
  }

  TempDir dir_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ttrpc::Server> server_;
  std::vector<events::Envelope> taken_;
  std::function<void(ttrpc::Server::Reply)> answer_ =
      [](const ttrpc::Server::Reply& reply) { reply(std::string()); };
  size_t enough_ = 0;
};

TEST_F(EventPublisherTest, SaysWhatContainerdExpects) {
  StartServer();
  EventPublisher publisher(*loop_, "unix://" + path(), "k8s.io", Quick());
  const absl::Time before = absl::Now() - absl::Seconds(1);
  PublishStart(publisher, 17);
  publisher.Publish(events::TaskCreate());
  publisher.Publish(events::TaskExit());
  publisher.Publish(events::TaskDelete());
  publisher.Publish(events::TaskOOM());
  publisher.Publish(events::TaskPaused());
  publisher.Publish(events::TaskResumed());
  publisher.Publish(events::TaskCheckpointed());
  Run(8);
  std::vector<std::string> kinds;
  for (const events::Envelope& envelope : taken_) {
    EXPECT_EQ(envelope.namespace_(), "k8s.io");
    EXPECT_GE(absl::FromUnixSeconds(envelope.timestamp().seconds()), before);
    kinds.push_back(
        absl::StrCat(envelope.topic(), " ", envelope.event().type_url()));
  }
  EXPECT_THAT(
      kinds,
      ElementsAre("/tasks/start containerd.events.TaskStart",
                  "/tasks/create containerd.events.TaskCreate",
                  "/tasks/exit containerd.events.TaskExit",
                  "/tasks/delete containerd.events.TaskDelete",
                  "/tasks/oom containerd.events.TaskOOM",
                  "/tasks/paused containerd.events.TaskPaused",
                  "/tasks/resumed containerd.events.TaskResumed",
                  "/tasks/checkpointed containerd.events.TaskCheckpointed"));
  events::TaskStart event;
  ASSERT_TRUE(event.ParseFromString(taken_[0].event().value()));
  EXPECT_EQ(event.container_id(), "c");
  EXPECT_EQ(event.pid(), 17u);
}

TEST_F(EventPublisherTest, KeepsOrderOverRestartsOfTheServer) {
  EventPublisher publisher(*loop_, path(), "n", Quick());
  std::vector<uint32_t> expected;
  uint32_t pid = 0;
  for (int round = 0; round < 5; ++round) {
    // Some while it is away, some while it is there.
    for (int i = 0; i < 20; ++i) PublishStart(publisher, ++pid);
    Run(0, absl::Milliseconds(30));
    EXPECT_EQ(publisher.waiting(), 20u);
    StartServer();
    for (int i = 0; i < 20; ++i) PublishStart(publisher, ++pid);
    Run(pid);
    Run(0, absl::Milliseconds(10));
    EXPECT_EQ(publisher.waiting(), 0u);
    StopServer();
  }
  for (uint32_t i = 1; i <= pid; ++i) expected.push_back(i);
  EXPECT_THAT(Pids(), ElementsAreArray(expected));
}

TEST_F(EventPublisherTest, SendsAgainWhatWasNotAnswered) {
  StartServer();
  EventPublisher publisher(*loop_, path(), "n", Quick());
  // One that hangs: no answer in time.
  answer_ = nullptr;
  PublishStart(publisher, 1);
  PublishStart(publisher, 2);
  Run(2);
  EXPECT_THAT(Pids(), ElementsAre(1, 1));
  // One that dies in the middle of a call.
  StopServer();
  answer_ = [](const ttrpc::Server::Reply& reply) { reply(std::string()); };
  StartServer();
  Run(4);
  EXPECT_THAT(Pids(), ElementsAre(1, 1, 1, 2));
}

TEST_F(EventPublisherTest, GoesOnAfterARefusal) {
  StartServer();
  EventPublisher publisher(*loop_, path(), "n", Quick());
  answer_ = [](const ttrpc::Server::Reply& reply) {
    reply(absl::InvalidArgumentError("no"));
  };
  for (uint32_t pid = 1; pid <= 3; ++pid) PublishStart(publisher, pid);
  Run(3);
  Run(0, absl::Milliseconds(50));
  EXPECT_THAT(Pids(), ElementsAre(1, 2, 3));
  EXPECT_EQ(publisher.waiting(), 0u);
}

TEST_F(EventPublisherTest, ForgetsTheOldestPastItsBounds) {
  auto limits = Quick();
  limits.events = 3;
  EventPublisher publisher(*loop_, path(), "n", limits);
  for (uint32_t pid = 1; pid <= 10'000; ++pid) PublishStart(publisher, pid);
  EXPECT_EQ(publisher.waiting(), 3u);
  StartServer();
  Run(3);
  EXPECT_THAT(Pids(), ElementsAre(9'998, 9'999, 10'000));
}

TEST_F(EventPublisherTest, ItsBytesAreBoundedToo) {
  auto limits = Quick();
  limits.bytes = 64 << 10;
  EventPublisher publisher(*loop_, path(), "n", limits);
  events::TaskCheckpointed event;
  event.set_checkpoint(std::string(10 << 10, 'x'));
  for (int i = 0; i < 100; ++i) publisher.Publish(event);
  EXPECT_EQ(publisher.waiting(), 6u);
  // One that is longer than all that may wait is still sent.
  event.set_checkpoint(std::string(100 << 10, 'x'));
  publisher.Publish(event);
  EXPECT_EQ(publisher.waiting(), 1u);
}

TEST_F(EventPublisherTest, DrainsBeforeTheEnd) {
  StartServer();
  EventPublisher publisher(*loop_, path(), "n", Quick());
  for (uint32_t pid = 1; pid <= 50; ++pid) PublishStart(publisher, pid);
  publisher.Drain(kPatience, [this] { loop_->Stop(); });
  ASSERT_OK(loop_->Run());
  EXPECT_EQ(taken_.size(), 50u);
  EXPECT_EQ(publisher.waiting(), 0u);
}

TEST_F(EventPublisherTest, DoesNotWaitForeverForAServerAtTheEnd) {
  EventPublisher publisher(*loop_, path(), "n", Quick());
  PublishStart(publisher, 1);
  const absl::Time start = absl::Now();
  publisher.Drain(absl::Milliseconds(100), [this] { loop_->Stop(); });
  ASSERT_OK(loop_->Run());
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_EQ(publisher.waiting(), 1u);
}

TEST_F(EventPublisherTest, WithoutAnAddressThereIsNothingToDo) {
  EventPublisher publisher(*loop_, "", "n");
  PublishStart(publisher, 1);
  EXPECT_EQ(publisher.waiting(), 0u);
  publisher.Drain(absl::Hours(1), [this] { loop_->Stop(); });
  ASSERT_OK(loop_->Run());
}

}  // namespace
}  // namespace serai::shim
