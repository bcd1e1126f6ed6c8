// SPDX-License-Identifier: Apache-2.0
#pragma once

// One GetContainerEvents call. A reactor of gRPC's callback API: an endless
// stream that holds no thread while nothing happens.

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/events/event_hub.h"

namespace serai::cri {

class EventStream final
    : public grpc::ServerWriteReactor<runtime::v1::ContainerEventResponse>,
      public std::enable_shared_from_this<EventStream> {
 public:
  // A stream on its way; it deletes itself when the call is over. `hub` must
  // outlive the server.
  static EventStream* Start(EventHub& hub,
                            grpc::CallbackServerContext* context);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  EventStream(EventHub& hub, grpc::CallbackServerContext* context)
      : hub_(hub), context_(context) {}

  void Subscribe();
  void TakeNext();
  void Deliver(absl::StatusOr<EventMessage> event);
  void FinishOnce(const absl::Status& status);
  // The daemon stops while the peer reads nothing.
  void Abandon();

  EventHub& hub_;
  grpc::CallbackServerContext* const context_;
  std::shared_ptr<EventStream> self_;  // until OnDone()
  std::shared_ptr<EventQueue> queue_;
  absl::Mutex mutex_;
  EventMessage current_ ABSL_GUARDED_BY(mutex_);  // being written
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace serai::cri
