// SPDX-License-Identifier: Apache-2.0
#include "cri/events/event_hub.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace serai::cri {

using runtime::v1::ContainerEventResponse;

void EventHub::Emit(runtime::v1::ContainerEventType type,
                    absl::string_view container, absl::string_view pod) {
  // Before the state is read: that is at least as new.
  Event event{type, std::string(container), std::string(pod),
              absl::GetCurrentTimeNanos()};
  {
    absl::MutexLock lock(&mutex_);
    if (phase_ == Phase::kStarting) {
      early_.push_back(std::move(event));
      return;
    }
    if (subscribers_.empty()) return;
  }
  Publish(std::make_shared<const ContainerEventResponse>(describe_(event)));
}

void EventHub::Publish(const EventMessage& event) {
  std::vector<std::shared_ptr<EventQueue>> queues;
  {
    absl::MutexLock lock(&mutex_);
    for (const Subscriber& s : subscribers_) queues.push_back(s.queue);
  }
  for (const auto& queue : queues) queue->Push(event);
}

void EventHub::Open() {
  absl::MutexLock lock(&mutex_);
  phase_ = Phase::kOpen;
}

absl::StatusOr<std::shared_ptr<EventQueue>> EventHub::Subscribe(
    std::function<void()> abandon) {
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kOpen) {
    return absl::UnavailableError("the daemon is not serving");
  }
  if (subscribers_.size() >= kMaxSubscribers) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", kMaxSubscribers,
                     " subscribers of events already: end one of them"));
  }
  auto queue = std::make_shared<EventQueue>();
  for (const Event& event : early_) {
    queue->Push(
        std::make_shared<const ContainerEventResponse>(describe_(event)));
  }
  early_ = {};
  subscribers_.push_back({queue, std::move(abandon)});
  return queue;
}

void EventHub::Unsubscribe(const std::shared_ptr<EventQueue>& queue) {
  absl::MutexLock lock(&mutex_);
  subscribers_.erase(
      std::remove_if(subscribers_.begin(), subscribers_.end(),
                     [&](const Subscriber& s) { return s.queue == queue; }),
      subscribers_.end());
}

void EventHub::Close() {
  std::vector<Subscriber> subscribers;
  {
    absl::MutexLock lock(&mutex_);
    phase_ = Phase::kClosed;
    subscribers = std::exchange(subscribers_, {});
  }
  for (const Subscriber& s : subscribers) {
    const bool told =
        s.queue->End(absl::UnavailableError("the daemon is stopping"));
    if (!told) s.abandon();
  }
}

}  // namespace serai::cri
