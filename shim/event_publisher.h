// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tells containerd what happens to the tasks: its TaskCreate, TaskStart, … in
// the order in which they were published, one at a time. While containerd is
// away they wait, within the bounds, and connecting is tried again and again;
// past the bounds the oldest are forgotten, which the log then says: a
// containerd that comes back asks for the state of every task anyway. An event
// may arrive twice, when containerd goes away before it has said that it has
// it. Used by the shim's loop only.
//
//   events::TaskStart event;
//   event.set_container_id(id);
//   event.set_pid(pid);
//   publisher.Publish(event);

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/ttrpc/loop_client.h"
#include "proto/task/events.pb.h"

namespace serai::shim {

class EventPublisher {
 public:
  struct Limits {
    size_t events = 1024;      // that wait
    size_t bytes = 256 << 10;  // of them
    absl::Duration answer_time = absl::Seconds(5);
    absl::Duration first_retry = absl::Milliseconds(50);
    absl::Duration last_retry = absl::Seconds(2);
  };

  // `address` is containerd's ttrpc socket, a path with or without unix://
  // before it; when it is empty, nobody wants the events and publishing does
  // nothing. `loop` outlives the publisher.
  EventPublisher(EventLoop& loop, std::string address,
                 std::string namespace_name, Limits limits);
  EventPublisher(EventLoop& loop, std::string address,
                 std::string namespace_name);
  ~EventPublisher();
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;

  void Publish(const events::TaskCreate& event);
  void Publish(const events::TaskStart& event);
  void Publish(const events::TaskExit& event);
  void Publish(const events::TaskDelete& event);
  void Publish(const events::TaskOOM& event);
  void Publish(const events::TaskPaused& event);
  void Publish(const events::TaskResumed& event);
  void Publish(const events::TaskCheckpointed& event);

  // An event of any kind: `message` is its bytes, `type_url` its name. It gets
  // the time of this call.
  void Publish(absl::string_view topic, absl::string_view type_url,
               std::string message);

  // Calls `done`, from the loop, once nothing waits any more, or after `limit`.
  // For the end of the shim; called once.
  void Drain(absl::Duration limit, std::function<void()> done);

  size_t waiting() const { return queue_.size(); }

 private:
  // Sends the first of the queue, unless one is under way.
  void Send();
  void OnAnswer(const absl::Status& status);
  void RetryLater();
  void PopFront();
  void ForgetOldest();
  void CheckDrained();

  EventLoop& loop_;
  const std::string address_;
  const std::string namespace_;
  const Limits limits_;
  std::deque<std::string> queue_;  // ForwardRequests; the first is sent first
  size_t queued_bytes_ = 0;
  size_t forgotten_ = 0;  // since the last answer
  std::unique_ptr<ttrpc::LoopClient> client_;
  bool under_way_ = false;
  absl::Duration retry_delay_;
  EventLoop::TimerId retry_timer_ = 0;  // 0: none
  EventLoop::TimerId drain_timer_ = 0;
  std::function<void()> on_drained_;
};

}  // namespace serai::shim
