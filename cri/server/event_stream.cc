// SPDX-License-Identifier: Apache-2.0
#include "cri/server/event_stream.h"

#include <utility>

#include "cri/rpc/status.h"
#include "spdlog/spdlog.h"

namespace serai::cri {

EventStream* EventStream::Start(EventHub& hub,
                                grpc::CallbackServerContext* context) {
  const std::shared_ptr<EventStream> stream(new EventStream(hub, context));
  stream->self_ = stream;
  stream->Subscribe();
  return stream.get();
}

void EventStream::Subscribe() {
  // The hub may keep the callback longer than the call lasts.
  auto queue = hub_.Subscribe([weak = weak_from_this()] {
    if (const auto stream = weak.lock()) stream->Abandon();
  });
  if (!queue.ok()) {
    FinishOnce(queue.status());
    return;
  }
  queue_ = *std::move(queue);
  // Now, and not with the first event: who subscribes may wait for it.
  StartSendInitialMetadata();
  TakeNext();
}

void EventStream::TakeNext() {
  queue_->Take(
      [stream = shared_from_this()](absl::StatusOr<EventMessage> event) {
        stream->Deliver(std::move(event));
      });
}

void EventStream::Deliver(absl::StatusOr<EventMessage> event) {
  if (!event.ok()) {
    FinishOnce(event.status());
    return;
  }
  absl::MutexLock lock(&mutex_);
  if (finished_) return;
  current_ = *std::move(event);
  StartWrite(current_.get());
}

void EventStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    current_ = nullptr;
  }
  if (ok) {
    TakeNext();
  } else {
    FinishOnce(absl::CancelledError("the subscriber is gone"));
  }
}

void EventStream::OnCancel() {
  {
    absl::MutexLock lock(&mutex_);
    // OnWriteDone() comes yet.
    if (current_ != nullptr) return;
  }
  FinishOnce(absl::CancelledError("the subscriber is gone"));
}

void EventStream::FinishOnce(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(finished_, true)) return;
  spdlog::debug("GetContainerEvents: {}", status.ToString());
  Finish(ToGrpc(status));
}

void EventStream::Abandon() {
  absl::MutexLock lock(&mutex_);
  if (!finished_) context_->TryCancel();
}

void EventStream::OnDone() {
  if (queue_ != nullptr) {
    hub_.Unsubscribe(queue_);
    // A callback that waits in it holds this object.
    queue_->End(absl::CancelledError("the subscriber is gone"));
  }
  self_.reset();
}

}  // namespace serai::cri
