// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tells who listens what becomes of pods and containers (GetContainerEvents of
// the CRI). Those who change something call Emit() once it is so, in the order
// of the changes: a container's events, CREATED, STARTED, STOPPED, DELETED,
// reach each subscriber in that order. A pod's own have its id as the
// container's. With no subscriber an event costs a lock. Any thread.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "cri/events/event_queue.h"
#include "lib/base/status.h"
#include "proto/cri/runtime.pb.h"

namespace serai::cri {

struct Event {
  runtime::v1::ContainerEventType type = runtime::v1::CONTAINER_CREATED_EVENT;
  std::string container_id;
  std::string pod_id;
  int64_t time_ns = 0;
};

class EventHub {
 public:
  static constexpr size_t kMaxSubscribers = 64;

  // An event as subscribers get it, with the present state of the pod and its
  // containers. Must not call the hub.
  using Describe =
      std::function<runtime::v1::ContainerEventResponse(const Event&)>;
  explicit EventHub(Describe describe) : describe_(std::move(describe)) {}
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  void Emit(runtime::v1::ContainerEventType type, absl::string_view container,
            absl::string_view pod);

  // From now on there can be subscribers. What came before, ends that a
  // starting daemon has noticed, is kept for the first of them.
  void Open();

  // Events from now on. RESOURCE_EXHAUSTED when there are too many subscribers,
  // UNAVAILABLE before Open() and after Close(). `abandon` is called by Close()
  // when the subscriber is not waiting for an event then.
  absl::StatusOr<std::shared_ptr<EventQueue>> Subscribe(
      std::function<void()> abandon);
  void Unsubscribe(const std::shared_ptr<EventQueue>& queue);

  // Ends every subscription with UNAVAILABLE.
  void Close();

 private:
  struct Subscriber {
    std::shared_ptr<EventQueue> queue;
    std::function<void()> abandon;
  };

  void Publish(const EventMessage& event);

  enum class Phase { kStarting, kOpen, kClosed };

  const Describe describe_;
  absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kStarting;
  std::vector<Event> early_ ABSL_GUARDED_BY(mutex_);
  std::vector<Subscriber> subscribers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
