// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/braid.h"

#include <chrono>

#include "cri/rpc/status.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// Which every server of the CRI knows, and which changes nothing.
constexpr char kProbeMethod[] = "/runtime.v1.RuntimeService/Version";
constexpr std::chrono::milliseconds kProbePause(200);

grpc::Status Cancelled() {
  return grpc::Status(grpc::StatusCode::CANCELLED, "cancelled");
}

}  // namespace

Braid::Braid(grpc::GenericCallbackServerContext& context, const Rule& rule,
             const Backends& backends, const Ours& ours)
    : context_(context),
      rule_(rule),
      backends_(backends),
      ours_(ours),
      local_(*this, backends.local),
      containerd_(*this, backends.containerd) {
  StartRead(&request_);
}

void Braid::OnReadDone(bool ok) {
  if (!ok) return Finish(Cancelled());
  const absl::StatusOr<grpc::Slice> request = OnePiece(request_);
  if (!request.ok()) return Finish(ToGrpc(request.status()));
  const absl::StatusOr<Target> target =
      TargetOf(rule_, TextOf(*request), ours_);
  if (!target.ok()) return Finish(ToGrpc(target.status()));
  target_ = *target;
  // A client may wait for the stream to stand, and the first event may be long
  // in coming.
  if (rule_.kind == Kind::kEvents) StartSendInitialMetadata();
  absl::MutexLock lock(&mutex_);
  if (target_ == Target::kLocal) return Begin(local_);
  Begin(containerd_);
  if (rule_.kind == Kind::kEvents) Begin(local_);
}

void Braid::Begin(Strand& strand) {
  ++running_;
  strand.Start();
}

void Braid::Arrived(Strand& strand) {
  absl::MutexLock lock(&mutex_);
  ready_.push_back(&strand);
  if (ready_.size() == 1) StartWrite(&strand.message());
}

void Braid::OnWriteDone(bool ok) {
  Strand* written = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    written = ready_.front();
    ready_.pop_front();
    if (!ok) Decide(Cancelled());
    if (!ready_.empty()) StartWrite(&ready_.front()->message());
  }
  // Also for a client that is gone: the strand ends when it has read its end.
  written->ReadNext();
}

void Braid::OnCancel() {
  absl::MutexLock lock(&mutex_);
  Decide(Cancelled());
}

void Braid::OnDone() { delete this; }

void Braid::Decide(const grpc::Status& status) {
  if (decided_) return;
  decided_ = status;
  local_.context().TryCancel();
  containerd_.context().TryCancel();
  if (alarm_ != nullptr) alarm_->Cancel();
  if (probe_ != nullptr) probe_->context.TryCancel();
}

void Braid::Over() {
  grpc::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (--running_ > 0) return;
    status = decided_.value_or(grpc::Status::OK);
  }
  spdlog::debug("{}: {}", context_.method(),
                status.ok() ? "ok" : status.error_message());
  TakeBackTrailingMetadata(containerd_.context(), context_);
  // The call may be gone when this returns.
  Finish(status);
}

void Braid::Ended(Strand& strand, const grpc::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (!decided_) {
      if (rule_.kind == Kind::kEvents) {
        EventsEnded(strand, status);
      } else {
        ListEnded(strand, status);
      }
    }
  }
  Over();
}

void Braid::ListEnded(Strand& strand, const grpc::Status& status) {
  if (!status.ok()) return Decide(status);
  if (&strand == &containerd_) Begin(local_);
}

void Braid::EventsEnded(Strand& strand, const grpc::Status& status) {
  // Without containerd's events clients have to list, and are to know it.
  const bool unknown = status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
  if (&strand == &local_ || unknown) return Decide(status);
  spdlog::warn("the events of containerd's pods have ended: {}",
               status.error_message());
  ++running_;
  StartProbe();
}

void Braid::StartProbe() {
  probe_ = std::make_unique<Probe>();
  const grpc::Slice empty;
  probe_->request = grpc::ByteBuffer(&empty, 1);
  probe_->context.set_wait_for_ready(true);
  backends_.containerd.stub().UnaryCall(
      &probe_->context, kProbeMethod, {}, &probe_->request, &probe_->response,
      [this](const grpc::Status& status) { Probed(status); });
}

void Braid::Probed(const grpc::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (!decided_ && !status.ok()) return WaitToProbe();
    Decide(grpc::Status(
        grpc::StatusCode::UNAVAILABLE,
        "containerd was away and is back: what became of its pods meanwhile "
        "is in no event. List them, then ask for events again"));
  }
  Over();
}

void Braid::WaitToProbe() {
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + kProbePause, [this](bool) {
    {
      absl::MutexLock lock(&mutex_);
      if (!decided_) return StartProbe();
    }
    Over();
  });
}

void Braid::Strand::Start() {
  TakeAlong(braid_.context_, context_);
  backend_.stub().PrepareBidiStreamingCall(&context_, braid_.context_.method(),
                                           {}, this);
  // The next message is read when the last is written, which is no reaction of
  // this one's.
  AddHold();
  StartWriteLast(&braid_.request_, {});
  StartCall();
}

void Braid::Strand::OnReadInitialMetadataDone(bool) { ReadNext(); }

void Braid::Strand::OnReadDone(bool ok) {
  if (ok) return braid_.Arrived(*this);
  RemoveHold();
}

void Braid::Strand::OnDone(const grpc::Status& status) {
  braid_.Ended(*this, backend_.Explained(status, context_));
}

}  // namespace serai::cri
