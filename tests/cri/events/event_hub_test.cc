// SPDX-License-Identifier: Apache-2.0
#include "cri/events/event_hub.h"

#include <memory>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;

namespace v1 = runtime::v1;

class EventHubTest : public ::testing::Test {
 protected:
  std::shared_ptr<EventQueue> Subscribe() {
    auto queue = hub_.Subscribe([this] { ++abandoned_; });
    EXPECT_OK(queue);
    return *queue;
  }

  // The containers of the events that are there now.
  static std::vector<std::string> Waiting(EventQueue& queue) {
    std::vector<std::string> ids;
    for (bool more = true; more;) {
      more = false;
      queue.Take([&](absl::StatusOr<EventMessage> event) {
        if (!event.ok()) return;
        more = true;
        ids.push_back((*event)->container_id());
      });
    }
    return ids;
  }

  void EmitFor(const std::string& container) {
    hub_.Emit(v1::CONTAINER_CREATED_EVENT, container, "pod");
  }

  std::string filling_;
  int described_ = 0;
  int abandoned_ = 0;
  EventHub hub_{[this](const Event& event) {
    ++described_;
    v1::ContainerEventResponse out;
    out.set_container_id(event.container_id);
    out.set_container_event_type(event.type);
    out.set_created_at(event.time_ns);
    out.mutable_pod_sandbox_status()->set_id(event.pod_id + filling_);
    return out;
  }};
};

TEST_F(EventHubTest, EverySubscriberGetsAllEventsInOrder) {
  hub_.Open();
  const auto one = Subscribe();
  const auto two = Subscribe();
  EmitFor("a");
  EmitFor("b");
  EmitFor("c");
  EXPECT_EQ(described_, 3);
  hub_.Close();
  EXPECT_THAT(Waiting(*one), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Waiting(*two), ElementsAre("a", "b", "c"));
}

TEST_F(EventHubTest, WhoWaitsIsGivenTheEventAtOnce) {
  hub_.Open();
  const auto queue = Subscribe();
  std::vector<std::string> given;
  const auto keep = [&](absl::StatusOr<EventMessage> event) {
    ASSERT_OK(event);
    given.push_back((*event)->container_id());
  };
  queue->Take(keep);
  EXPECT_THAT(given, ElementsAre());
  EmitFor("a");
  EmitFor("b");
  EXPECT_THAT(given, ElementsAre("a"));
  queue->Take(keep);
  EXPECT_THAT(given, ElementsAre("a", "b"));
}

TEST_F(EventHubTest, WithoutASubscriberNothingIsDescribed) {
  hub_.Open();
  EmitFor("a");
  const auto queue = Subscribe();
  hub_.Unsubscribe(queue);
  EmitFor("b");
  EXPECT_EQ(described_, 0);
}

TEST_F(EventHubTest, WhatAStartingDaemonNoticedIsForTheFirstSubscriber) {
  EXPECT_THAT(hub_.Subscribe([] {}),
              HasStatus(absl::StatusCode::kUnavailable, "not serving"));
  EmitFor("early");
  hub_.Open();
  EmitFor("lost");
  const auto first = Subscribe();
  EmitFor("late");
  const auto second = Subscribe();
  hub_.Close();
  EXPECT_THAT(Waiting(*first), ElementsAre("early", "late"));
  EXPECT_THAT(Waiting(*second), ElementsAre());
}

TEST_F(EventHubTest, ASlowSubscriberIsToldThatItLostEvents) {
  hub_.Open();
  const auto slow = Subscribe();
  for (size_t i = 0; i < EventQueue::kMaxEvents; ++i) EmitFor("a");
  const auto other = Subscribe();
  EmitFor("b");
  absl::Status end;
  slow->Take([&](absl::StatusOr<EventMessage> event) { end = event.status(); });
  EXPECT_THAT(end, HasStatus(absl::StatusCode::kResourceExhausted, "anew"));
  hub_.Close();
  EXPECT_THAT(Waiting(*other), ElementsAre("b"));
}

TEST_F(EventHubTest, AQueueHoldsABoundedNumberOfBytes) {
  hub_.Open();
  const auto slow = Subscribe();
  filling_ = std::string(1 << 20, 'x');
  for (size_t i = 0; i <= EventQueue::kMaxBytes >> 20; ++i) EmitFor("a");
  absl::Status end;
  slow->Take([&](absl::StatusOr<EventMessage> event) { end = event.status(); });
  EXPECT_THAT(end, HasStatus(absl::StatusCode::kResourceExhausted, "anew"));
}

TEST_F(EventHubTest, AtTheEndSubscribersAreToldOrAbandoned) {
  hub_.Open();
  const auto waiting = Subscribe();
  const auto busy = Subscribe();
  absl::Status end;
  waiting->Take(
      [&](absl::StatusOr<EventMessage> event) { end = event.status(); });
  hub_.Close();
  EXPECT_THAT(end, HasStatus(absl::StatusCode::kUnavailable, "stopping"));
  EXPECT_EQ(abandoned_, 1);
  EXPECT_THAT(hub_.Subscribe([] {}),
              HasStatus(absl::StatusCode::kUnavailable, "not serving"));
}

TEST_F(EventHubTest, SubscribersAreLimitedInNumber) {
  hub_.Open();
  std::vector<std::shared_ptr<EventQueue>> queues;
  for (size_t i = 0; i < EventHub::kMaxSubscribers; ++i) {
    queues.push_back(Subscribe());
  }
  EXPECT_THAT(hub_.Subscribe([] {}),
              HasStatus(absl::StatusCode::kResourceExhausted, "subscribers"));
  hub_.Unsubscribe(queues.back());
  EXPECT_OK(hub_.Subscribe([] {}));
}

}  // namespace
}  // namespace serai::cri
