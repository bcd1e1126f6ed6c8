// SPDX-License-Identifier: Apache-2.0
// The node's status. The one answer whose messages are looked into; what is
// unknown in containerd's is kept.
#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "cri/passthrough/answers.h"
#include "cri/passthrough/backend.h"
#include "cri/rpc/status.h"
#include "proto/cri/runtime.pb.h"

namespace serai::cri {
namespace {

using runtime::v1::RuntimeCondition;
using runtime::v1::StatusResponse;

constexpr char kRuntimeReady[] = "RuntimeReady";
constexpr char kNetworkReady[] = "NetworkReady";
constexpr char kContainerdFails[] = "ContainerdFails";

absl::StatusOr<StatusResponse> Parse(const Answered& answer) {
  if (!answer.status.ok()) {
    return absl::Status(
        static_cast<absl::StatusCode>(answer.status.error_code()),
        answer.status.error_message());
  }
  ASSIGN_OR_RETURN(const grpc::Slice bytes, OnePiece(answer.message));
  StatusResponse response;
  if (!response.ParseFromArray(bytes.begin(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("containerd's status is no protobuf message");
  }
  return response;
}

bool HasCondition(const StatusResponse& response, const char* type) {
  const auto& conditions = response.status().conditions();
  return std::any_of(conditions.begin(), conditions.end(),
                     [&](const auto& c) { return c.type() == type; });
}

void AddFalse(const char* type, const char* reason, absl::string_view message,
              StatusResponse& response) {
  RuntimeCondition* condition = response.mutable_status()->add_conditions();
  condition->set_type(type);
  condition->set_status(false);
  condition->set_reason(reason);
  condition->set_message(absl::StrCat("containerd: ", message));
}

// What stands in for the answer that did not come. Of its network nothing is
// known; with the runtime not ready nothing follows from that.
StatusResponse Absent(const absl::Status& why) {
  StatusResponse response;
  AddFalse(kRuntimeReady,
           absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why)
               ? "ContainerdUnavailable"
               : kContainerdFails,
           why.message(), response);
  return response;
}

// What kubelet asks for counts as false where containerd, which did answer,
// does not state it; as it does with kubelet itself.
void AddUnstated(StatusResponse& theirs) {
  for (const char* type : {kRuntimeReady, kNetworkReady}) {
    if (HasCondition(theirs, type)) continue;
    AddFalse(type, kContainerdFails, "its status says nothing of it", theirs);
  }
}

// `theirs` becomes what is true of both.
void MergeCondition(const RuntimeCondition& ours, RuntimeCondition& theirs) {
  if (ours.status()) return;
  if (theirs.status()) {
    theirs = ours;
    return;
  }
  theirs.set_message(
      absl::StrCat(theirs.message(), "; seraid: ", ours.message()));
}

void MergeConditions(const StatusResponse& ours, StatusResponse& theirs) {
  auto* conditions = theirs.mutable_status()->mutable_conditions();
  for (const RuntimeCondition& condition : ours.status().conditions()) {
    const auto same = std::find_if(
        conditions->begin(), conditions->end(),
        [&](const auto& c) { return c.type() == condition.type(); });
    if (same == conditions->end()) {
      *conditions->Add() = condition;
    } else {
      MergeCondition(condition, *same);
    }
  }
}

// A handler of our configuration's never reaches containerd.
void MergeHandlers(const StatusResponse& ours, StatusResponse& theirs) {
  absl::flat_hash_set<std::string> own;
  for (const auto& handler : ours.runtime_handlers()) {
    own.insert(handler.name());
  }
  auto* handlers = theirs.mutable_runtime_handlers();
  handlers->erase(
      std::remove_if(handlers->begin(), handlers->end(),
                     [&](const auto& h) { return own.contains(h.name()); }),
      handlers->end());
  handlers->MergeFrom(ours.runtime_handlers());
}

}  // namespace

Answered MergeStatus(const Answered& ours, const Answered& theirs) {
  const absl::StatusOr<StatusResponse> own = Parse(ours);
  if (!own.ok()) return Answered{ToGrpc(own.status()), {}};
  const absl::StatusOr<StatusResponse> other = Parse(theirs);
  StatusResponse merged = other.ok() ? *other : Absent(other.status());
  if (other.ok()) AddUnstated(merged);
  MergeConditions(*own, merged);
  MergeHandlers(*own, merged);
  for (const auto& [key, value] : own->info()) {
    (*merged.mutable_info())[key] = value;
  }
  const grpc::Slice slice(merged.SerializeAsString());
  return Answered{grpc::Status::OK, grpc::ByteBuffer(&slice, 1)};
}

}  // namespace serai::cri
