// SPDX-License-Identifier: Apache-2.0
// Checkpoints: thin over CheckpointManager.
#include <algorithm>

#include "absl/time/clock.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"

namespace serai::cri {
namespace {

// As long as a shim tries.
constexpr absl::Duration kTimeout = absl::Minutes(2);

absl::Duration TimeLeft(const grpc::ServerContext& context) {
  return std::min(kTimeout, absl::FromChrono(context.deadline()) - absl::Now());
}

absl::Status CheckNoOptions(
    const google::protobuf::Map<std::string, std::string>& options) {
  if (options.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no option \"", options.begin()->first, "\": serai has none"));
}

}  // namespace

grpc::Status RuntimeService::CheckpointContainer(
    grpc::ServerContext* context, const v1::CheckpointContainerRequest* request,
    v1::CheckpointContainerResponse*) {
  return Answer("CheckpointContainer", request->container_id(), [&] {
    const absl::Duration timeout =
        request->timeout() > 0 ? absl::Seconds(request->timeout()) : kTimeout;
    return parts_.checkpoints.CheckpointContainer(
        request->container_id(), request->location(),
        std::min(timeout, TimeLeft(*context)));
  });
}

grpc::Status RuntimeService::CheckpointPod(
    grpc::ServerContext* context, const v1::CheckpointPodRequest* request,
    v1::CheckpointPodResponse*) {
  return Answer("CheckpointPod", request->pod_sandbox_id(), [&] {
    RETURN_IF_ERROR(CheckNoOptions(request->options()));
    return parts_.checkpoints.CheckpointPod(
        request->pod_sandbox_id(),
        {request->container_ids().begin(), request->container_ids().end()},
        request->output_path(), TimeLeft(*context));
  });
}

grpc::Status RuntimeService::RestorePod(grpc::ServerContext*,
                                        const v1::RestorePodRequest* request,
                                        v1::RestorePodResponse* response) {
  return Answer("RestorePod", request->checkpoint_path(), [&] {
    RETURN_IF_ERROR(CheckNoOptions(request->options()));
    ASSIGN_OR_RETURN(const CheckpointManager::Restored restored,
                     parts_.checkpoints.RestorePod(
                         request->checkpoint_path(), request->config(),
                         request->runtime_handler(),
                         {request->container_configs().begin(),
                          request->container_configs().end()}));
    response->set_pod_sandbox_id(restored.pod);
    for (const auto& [name, id] : restored.containers) {
      v1::RestoredContainer* out = response->add_restored_containers();
      out->set_name(name);
      out->set_container_id(id);
    }
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
