// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/backend.h"

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "absl/strings/match.h"

namespace serai::cri {
namespace {

// Of gRPC's core: what a status that came over the wire is known by.
constexpr absl::string_view kFromPeer = "Error received from peer";
// A status' details travel with the status.
constexpr absl::string_view kDetailsKey = "grpc-status-details-bin";

absl::string_view View(grpc::string_ref text) {
  return {text.data(), text.size()};
}

std::string String(grpc::string_ref text) {
  return std::string(text.data(), text.size());
}

bool IsOfTheConnection(absl::string_view key) {
  return key == "user-agent" || key == "host" ||
         key == "grpc-previous-rpc-attempts";
}

// gRPC takes anything from its peer, but ends the process that wants to send
// what it finds illegal.
bool IsLegal(grpc::string_ref key, grpc::string_ref value) {
  const grpc_slice name = grpc_slice_from_static_buffer(key.data(), key.size());
  if (grpc_header_key_is_legal(name) == 0) return false;
  return grpc_is_binary_header(name) != 0 ||
         grpc_header_nonbin_value_is_legal(
             grpc_slice_from_static_buffer(value.data(), value.size())) != 0;
}

}  // namespace

grpc::Status Backend::Explained(const grpc::Status& status,
                                const grpc::ClientContext& call) const {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE ||
      absl::StrContains(call.debug_error_string(), kFromPeer)) {
    return status;
  }
  return grpc::Status(
      grpc::StatusCode::UNAVAILABLE,
      absl::StrCat(name_,
                   " does not answer, so nothing is known of its pods "
                   "and images until it is back: ",
                   status.error_message()));
}

void TakeAlong(const grpc::CallbackServerContext& in,
               grpc::ClientContext& out) {
  out.set_deadline(in.deadline());
  for (const auto& [key, value] : in.client_metadata()) {
    if (IsOfTheConnection(View(key)) || !IsLegal(key, value)) continue;
    out.AddMetadata(String(key), String(value));
  }
}

void TakeBackInitialMetadata(const grpc::ClientContext& out,
                             grpc::CallbackServerContext& in) {
  for (const auto& [key, value] : out.GetServerInitialMetadata()) {
    if (!IsLegal(key, value)) continue;
    in.AddInitialMetadata(String(key), String(value));
  }
}

void TakeBackTrailingMetadata(const grpc::ClientContext& out,
                              grpc::CallbackServerContext& in) {
  for (const auto& [key, value] : out.GetServerTrailingMetadata()) {
    if (View(key) == kDetailsKey || !IsLegal(key, value)) continue;
    in.AddTrailingMetadata(String(key), String(value));
  }
}

absl::StatusOr<grpc::Slice> OnePiece(const grpc::ByteBuffer& message) {
  if (!message.Valid()) return grpc::Slice();
  grpc::Slice slice;
  if (message.TrySingleSlice(&slice).ok()) return slice;
  const grpc::Status dumped = message.DumpToSingleSlice(&slice);
  if (dumped.ok()) return slice;
  return absl::InternalError(
      absl::StrCat("reading the message's bytes: ", dumped.error_message()));
}

}  // namespace serai::cri
