// SPDX-License-Identifier: Apache-2.0
#pragma once

// What one subscriber of the events has not been given yet. Bounded: a
// subscriber that does not keep up loses the queue and is told so, so that it
// lists everything anew; it never holds anybody else up. Any thread.

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/status.h"
#include "proto/cri/runtime.pb.h"

namespace serai::cri {

// Shared by all subscribers.
using EventMessage = std::shared_ptr<const runtime::v1::ContainerEventResponse>;

class EventQueue {
 public:
  // An event carries a pod's annotations, up to 256 KiB of them.
  static constexpr size_t kMaxEvents = 1024;
  static constexpr size_t kMaxBytes = 8 << 20;

  // Given the next event, or why there will be none: RESOURCE_EXHAUSTED when
  // the queue was full, else what End() was given.
  using Deliver = std::function<void(absl::StatusOr<EventMessage>)>;

  // Calls `deliver` once: now, or later on the thread that has something. One
  // at a time. It must not block.
  void Take(Deliver deliver);

  // Whoever waits gets it, else it is kept.
  void Push(EventMessage event);

  // No more events: who waits is told now, others after what is kept. True when
  // somebody waited.
  bool End(absl::Status why);

 private:
  absl::Mutex mutex_;
  std::deque<EventMessage> events_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);  // OK: not ended
  Deliver waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
