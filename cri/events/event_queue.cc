// SPDX-License-Identifier: Apache-2.0
#include "cri/events/event_queue.h"

#include <utility>

namespace serai::cri {

void EventQueue::Take(Deliver deliver) {
  absl::StatusOr<EventMessage> next = EventMessage();
  {
    absl::MutexLock lock(&mutex_);
    if (!events_.empty()) {
      next = std::move(events_.front());
      events_.pop_front();
      bytes_ -= (*next)->ByteSizeLong();
    } else if (!end_.ok()) {
      next = end_;
    } else {
      waiting_ = std::move(deliver);
      return;
    }
  }
  deliver(std::move(next));
}

void EventQueue::Push(EventMessage event) {
  Deliver deliver;
  {
    absl::MutexLock lock(&mutex_);
    if (!end_.ok()) return;
    if (waiting_ == nullptr) {
      const size_t size = event->ByteSizeLong();
      if (events_.size() < kMaxEvents &&
          (events_.empty() || bytes_ + size <= kMaxBytes)) {
        bytes_ += size;
        events_.push_back(std::move(event));
        return;
      }
      events_.clear();
      bytes_ = 0;
      end_ = absl::ResourceExhaustedError(
          "events came faster than they were read: some are lost. List pods "
          "and containers anew and subscribe again");
      return;
    }
    deliver = std::exchange(waiting_, nullptr);
  }
  deliver(std::move(event));
}

bool EventQueue::End(absl::Status why) {
  Deliver deliver;
  {
    absl::MutexLock lock(&mutex_);
    if (!end_.ok()) return false;
    end_ = why;
    deliver = std::exchange(waiting_, nullptr);
  }
  if (deliver == nullptr) return false;
  deliver(std::move(why));
  return true;
}

}  // namespace serai::cri
