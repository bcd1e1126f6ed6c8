// SPDX-License-Identifier: Apache-2.0
// Pods: thin over PodManager and the store.
#include "absl/time/clock.h"
#include "cri/log/redact.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"
#include "cri/server/verbose.h"

namespace serai::cri {

grpc::Status RuntimeService::RunPodSandbox(
    grpc::ServerContext* context, const v1::RunPodSandboxRequest* request,
    v1::RunPodSandboxResponse* response) {
  LogRequest("RunPodSandbox", *request);
  const auto& metadata = request->config().metadata();
  return Answer(
      "RunPodSandbox",
      absl::StrCat(metadata.namespace_(), "/", metadata.name()), [&] {
        ASSIGN_OR_RETURN(
            *response->mutable_pod_sandbox_id(),
            parts_.pods.Run(request->config(), request->runtime_handler(),
                            [&] { return context->IsCancelled(); }));
        return absl::OkStatus();
      });
}

grpc::Status RuntimeService::StopPodSandbox(
    grpc::ServerContext*, const v1::StopPodSandboxRequest* request,
    v1::StopPodSandboxResponse*) {
  const std::string& id = request->pod_sandbox_id();
  return Answer("StopPodSandbox", id, [&] { return parts_.pods.Stop(id); });
}

grpc::Status RuntimeService::RemovePodSandbox(
    grpc::ServerContext*, const v1::RemovePodSandboxRequest* request,
    v1::RemovePodSandboxResponse*) {
  const std::string& id = request->pod_sandbox_id();
  return Answer("RemovePodSandbox", id, [&] { return parts_.pods.Remove(id); });
}

grpc::Status RuntimeService::PodSandboxStatus(
    grpc::ServerContext*, const v1::PodSandboxStatusRequest* request,
    v1::PodSandboxStatusResponse* response) {
  return Answer("PodSandboxStatus", request->pod_sandbox_id(), [&] {
    ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                     parts_.store.FindPod(request->pod_sandbox_id()));
    // Before the state is read, which is at least as new.
    response->set_timestamp(absl::GetCurrentTimeNanos());
    *response->mutable_status() = ToPodSandboxStatus(*pod);
    for (const auto& container : parts_.store.ContainersOf(pod->id)) {
      *response->add_containers_statuses() =
          ToContainerStatus(*container->record.Read());
    }
    if (request->verbose()) {
      (*response->mutable_info())["info"] = PodInfo(*pod, parts_.store);
    }
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::UpdatePodSandboxResources(
    grpc::ServerContext*, const v1::UpdatePodSandboxResourcesRequest* request,
    v1::UpdatePodSandboxResourcesResponse*) {
  const std::string& id = request->pod_sandbox_id();
  return Answer("UpdatePodSandboxResources", id, [&] {
    return parts_.pods.UpdateResources(id, request->overhead(),
                                       request->resources());
  });
}

}  // namespace serai::cri
