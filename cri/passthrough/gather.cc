// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/gather.h"

#include <algorithm>
#include <chrono>

#include "cri/rpc/status.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// The node's status says so when containerd takes longer. A client asks every
// few seconds and waits for two minutes.
constexpr std::chrono::seconds kStatusPatience(10);

}  // namespace

Gather::Gather(grpc::GenericCallbackServerContext& context, const Rule& rule,
               const Backends& backends, const Ours& ours)
    : context_(context), rule_(rule), backends_(backends), ours_(ours) {
  StartRead(&request_);
}

void Gather::OnReadDone(bool ok) {
  if (!ok) {
    return Finish(grpc::Status(grpc::StatusCode::CANCELLED,
                               "the call ended before its request"));
  }
  const absl::StatusOr<grpc::Slice> request = OnePiece(request_);
  if (!request.ok()) return Finish(ToGrpc(request.status()));
  const absl::StatusOr<Target> target =
      TargetOf(rule_, TextOf(*request), ours_);
  if (!target.ok()) return Finish(ToGrpc(target.status()));
  target_ = *target;
  if (target_ == Target::kLocal) {
    awaited_ = 1;
    return Ask(backends_.local, local_);
  }
  awaited_ = 2;
  auto patience = std::chrono::system_clock::time_point::max();
  if (rule_.kind == Kind::kStatus) {
    patience = std::chrono::system_clock::now() + kStatusPatience;
  }
  Ask(backends_.containerd, containerd_, patience);
  Ask(backends_.local, local_);
}

void Gather::Ask(Backend& backend, Part& part,
                 std::chrono::system_clock::time_point patience) {
  TakeAlong(context_, part.context);
  part.context.set_deadline(std::min(context_.deadline(), patience));
  backend.stub().UnaryCall(
      &part.context, context_.method(), {}, &request_, &part.answer.message,
      [this, &backend, &part](const grpc::Status& status) {
        part.answer.status = backend.Explained(status, part.context);
        if (--awaited_ == 0) Arrived();
      });
}

void Gather::Arrived() {
  if (target_ == Target::kLocal) {
    answer_ = local_.answer;
  } else {
    answer_ = Merge(rule_.kind, local_.answer, containerd_.answer);
    TakeBackInitialMetadata(containerd_.context, context_);
    TakeBackTrailingMetadata(containerd_.context, context_);
  }
  spdlog::debug("{}: asked {}, {}", context_.method(),
                target_ == Target::kLocal ? "seraid" : "both",
                answer_.status.ok() ? "ok" : answer_.status.error_message());
  // The call may be gone when these return.
  if (answer_.status.ok()) {
    StartWriteAndFinish(&answer_.message, {}, grpc::Status::OK);
  } else {
    Finish(answer_.status);
  }
}

void Gather::OnCancel() {
  local_.context.TryCancel();
  containerd_.context.TryCancel();
}

void Gather::OnDone() { delete this; }

}  // namespace serai::cri
