// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/backend.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/match.h"

namespace serai::cri {
namespace {

constexpr int kFirstReconnectMs = 100;
constexpr int kLastReconnectMs = 1000;
// How long somebody who accepts connections may take to speak HTTP/2.
constexpr int kConnectTimeoutMs = 5000;

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

std::shared_ptr<grpc::Channel> SocketChannel(const std::string& socket) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kMaxMessageBytes);
  args.SetMaxSendMessageSize(kMaxMessageBytes);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("unix:", socket),
                                   grpc::InsecureChannelCredentials(), args);
}

void TakeAlong(const grpc::CallbackServerContext& in,
               grpc::ClientContext& out) {
  out.set_deadline(in.deadline());
  for (const auto& [key, value] : in.client_metadata()) {
    if (IsOfTheConnection(View(key))) continue;
    out.AddMetadata(String(key), String(value));
  }
}

void TakeBackInitialMetadata(const grpc::ClientContext& out,
                             grpc::CallbackServerContext& in) {
  for (const auto& [key, value] : out.GetServerInitialMetadata()) {
    in.AddInitialMetadata(String(key), String(value));
  }
}

void TakeBackTrailingMetadata(const grpc::ClientContext& out,
                              grpc::CallbackServerContext& in) {
  for (const auto& [key, value] : out.GetServerTrailingMetadata()) {
    if (View(key) == kDetailsKey) continue;
    in.AddTrailingMetadata(String(key), String(value));
  }
}

grpc::Status ToGrpc(const absl::Status& status) {
  // The codes are the same numbers.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
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
