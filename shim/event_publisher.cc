// SPDX-License-Identifier: Apache-2.0
#include "shim/event_publisher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr char kService[] = "containerd.services.events.ttrpc.v1.Events";
constexpr char kMethod[] = "Forward";

// Whether the server is there and will not have the event: then it would not
// have it a second time either.
bool IsRefusal(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status);
}

}  // namespace

EventPublisher::EventPublisher(EventLoop& loop, std::string address,
                               std::string namespace_name, Limits limits)
    : loop_(loop),
      address_(std::move(address)),
      namespace_(std::move(namespace_name)),
      limits_(limits),
      retry_delay_(limits.first_retry) {}

EventPublisher::EventPublisher(EventLoop& loop, std::string address,
                               std::string namespace_name)
    : EventPublisher(loop, std::move(address), std::move(namespace_name),
                     Limits()) {}

EventPublisher::~EventPublisher() {
  loop_.CancelTimer(retry_timer_);
  loop_.CancelTimer(drain_timer_);
}

void EventPublisher::Publish(const events::TaskCreate& event) {
  Publish("/tasks/create", "containerd.events.TaskCreate",
          event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskStart& event) {
  Publish("/tasks/start", "containerd.events.TaskStart",
          event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskExit& event) {
  Publish("/tasks/exit", "containerd.events.TaskExit",
          event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskDelete& event) {
  Publish("/tasks/delete", "containerd.events.TaskDelete",
          event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskOOM& event) {
  Publish("/tasks/oom", "containerd.events.TaskOOM", event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskPaused& event) {
  Publish("/tasks/paused", "containerd.events.TaskPaused",
          event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskResumed& event) {
  Publish("/tasks/resumed", "containerd.events.TaskResumed",
          event.SerializeAsString());
}

void EventPublisher::Publish(const events::TaskCheckpointed& event) {
  Publish("/tasks/checkpointed", "containerd.events.TaskCheckpointed",
          event.SerializeAsString());
}

void EventPublisher::Publish(absl::string_view topic,
                             absl::string_view type_url, std::string message) {
  if (address_.empty()) return;
  events::ForwardRequest request;
  events::Envelope& envelope = *request.mutable_envelope();
  const timespec now = absl::ToTimespec(absl::Now());
  envelope.mutable_timestamp()->set_seconds(now.tv_sec);
  envelope.mutable_timestamp()->set_nanos(static_cast<int32_t>(now.tv_nsec));
  envelope.set_namespace_(namespace_);
  envelope.set_topic(topic.data(), topic.size());
  envelope.mutable_event()->set_type_url(type_url.data(), type_url.size());
  envelope.mutable_event()->set_value(std::move(message));
  queue_.push_back(request.SerializeAsString());
  queued_bytes_ += queue_.back().size();
  ForgetOldest();
  if (retry_timer_ == 0) Send();
}

void EventPublisher::Drain(absl::Duration limit, std::function<void()> done) {
  on_drained_ = std::move(done);
  drain_timer_ =
      loop_.AddTimer(queue_.empty() ? absl::ZeroDuration() : limit, [this] {
        if (!queue_.empty()) {
          LogWarning(
              absl::StrCat(queue_.size(), " events could not be delivered"));
        }
        std::exchange(on_drained_, nullptr)();
      });
}

void EventPublisher::Send() {
  if (under_way_ || queue_.empty()) return;
  if (client_ == nullptr) {
    auto client = ttrpc::LoopClient::Connect(loop_, address_);
    if (!client.ok()) return RetryLater();
    client_ = *std::move(client);
  }
  under_way_ = true;
  client_->Call(kService, kMethod, queue_.front(), limits_.answer_time,
                [this](absl::StatusOr<std::string> answer) {
                  OnAnswer(answer.status());
                });
}

void EventPublisher::OnAnswer(const absl::Status& status) {
  under_way_ = false;
  if (!status.ok() && !IsRefusal(status)) {
    // An answer that comes too late must not be taken for the next one's.
    client_.reset();
    return RetryLater();
  }
  if (!status.ok()) {
    LogWarning(absl::StrCat("an event was refused: ", status.message()));
  }
  if (forgotten_ != 0) {
    LogWarning(absl::StrCat(
        forgotten_, " events were lost: nobody took them for too long"));
    forgotten_ = 0;
  }
  retry_delay_ = limits_.first_retry;
  PopFront();
  CheckDrained();
  Send();
}

void EventPublisher::RetryLater() {
  retry_timer_ = loop_.AddTimer(retry_delay_, [this] {
    retry_timer_ = 0;
    Send();
  });
  retry_delay_ = std::min(retry_delay_ * 2, limits_.last_retry);
}

void EventPublisher::PopFront() {
  queued_bytes_ -= queue_.front().size();
  queue_.pop_front();
}

void EventPublisher::ForgetOldest() {
  // Not the one under way: its answer is awaited.
  const size_t kept = under_way_ ? 1 : 0;
  while (queue_.size() > kept + 1 &&
         (queue_.size() > limits_.events || queued_bytes_ > limits_.bytes)) {
    const auto oldest = queue_.begin() + static_cast<ptrdiff_t>(kept);
    queued_bytes_ -= oldest->size();
    queue_.erase(oldest);
    ++forgotten_;
  }
}

void EventPublisher::CheckDrained() {
  if (!queue_.empty() || on_drained_ == nullptr) return;
  loop_.CancelTimer(drain_timer_);
  drain_timer_ =
      loop_.AddTimer(absl::ZeroDuration(), std::exchange(on_drained_, nullptr));
}

}  // namespace serai::shim
