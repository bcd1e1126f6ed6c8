// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/relay.h"

#include "cri/rpc/status.h"
#include "spdlog/spdlog.h"

namespace serai::cri {

Relay::Relay(grpc::GenericCallbackServerContext& context, const Rule& rule,
             const Backends& backends, const Ours& ours)
    : context_(context), rule_(rule), backends_(backends), ours_(ours) {
  StartRead(&request_);
}

absl::StatusOr<Backend*> Relay::Choose() const {
  ASSIGN_OR_RETURN(const grpc::Slice request, OnePiece(request_));
  ASSIGN_OR_RETURN(const Target target,
                   TargetOf(rule_, TextOf(request), ours_));
  return target == Target::kLocal ? &backends_.local : &backends_.containerd;
}

void Relay::StartBack(Backend& backend) {
  backend_ = &backend;
  TakeAlong(context_, back_context_);
  // Headers go with the first message, which is there, in one piece.
  back_context_.set_initial_metadata_corked(true);
  backend.stub().PrepareBidiStreamingCall(&back_context_, context_.method(), {},
                                          &back_);
  // Writes come from outside of its reactions.
  back_.AddHold();
  {
    absl::MutexLock lock(&mutex_);
    back_open_ = true;
  }
  back_.StartCall();
}

void Relay::OnReadDone(bool ok) {
  if (backend_ == nullptr) {
    if (!ok && context_.IsCancelled()) {
      return Finish(grpc::Status(grpc::StatusCode::CANCELLED, "cancelled"));
    }
    const absl::StatusOr<Backend*> chosen = Choose();
    if (!chosen.ok()) return Finish(ToGrpc(chosen.status()));
    StartBack(**chosen);
  }
  absl::MutexLock lock(&mutex_);
  if (!back_open_) return;
  if (ok) {
    back_.StartWrite(&request_);
  } else {
    back_.StartWritesDone();
  }
}

void Relay::OnWriteDone(bool ok) {
  // With the client gone the backend's answers are read to their end.
  if (!ok) back_context_.TryCancel();
  back_.StartRead(&response_);
}

void Relay::OnCancel() { back_context_.TryCancel(); }

void Relay::OnDone() { delete this; }

void Relay::Back::OnReadInitialMetadataDone(bool ok) {
  if (ok) {
    TakeBackInitialMetadata(relay_.back_context_, relay_.context_);
    relay_.StartSendInitialMetadata();
  }
  StartRead(&relay_.response_);
}

void Relay::Back::OnReadDone(bool ok) {
  if (ok) return relay_.StartWrite(&relay_.response_);
  {
    absl::MutexLock lock(&relay_.mutex_);
    relay_.back_open_ = false;
  }
  RemoveHold();
}

void Relay::Back::OnWriteDone(bool ok) {
  if (ok) relay_.StartRead(&relay_.request_);
}

void Relay::Back::OnDone(const grpc::Status& status) {
  const grpc::Status answer =
      relay_.backend_->Explained(status, relay_.back_context_);
  spdlog::debug("{}: passed on, {}", relay_.context_.method(),
                answer.ok() ? "ok" : answer.error_message());
  TakeBackTrailingMetadata(relay_.back_context_, relay_.context_);
  // The relay may be gone when this returns.
  relay_.Finish(answer);
}

}  // namespace serai::cri
