// SPDX-License-Identifier: Apache-2.0
#include "cri/server/self_check.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>

#include "proto/cri/service.grpc.pb.h"

namespace serai::cri {

absl::Status AskVersion(const std::string& socket, absl::Duration timeout) {
  // A connection of its own each time: accepting one is part of being well.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      grpc::CreateCustomChannel(absl::StrCat("unix:", socket),
                                grpc::InsecureChannelCredentials(), arguments);
  const auto stub = runtime::v1::RuntimeService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(timeout));
  runtime::v1::VersionResponse response;
  const grpc::Status status =
      stub->Version(&context, runtime::v1::VersionRequest(), &response);
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

}  // namespace serai::cri
