// SPDX-License-Identifier: Apache-2.0
// Containers: thin over ContainerManager and the store.
#include "cri/log/redact.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"
#include "cri/server/verbose.h"

namespace serai::cri {

grpc::Status RuntimeService::CreateContainer(
    grpc::ServerContext*, const v1::CreateContainerRequest* request,
    v1::CreateContainerResponse* response) {
  LogRequest("CreateContainer", *request);
  return Answer("CreateContainer", request->pod_sandbox_id(), [&] {
    ASSIGN_OR_RETURN(
        *response->mutable_container_id(),
        parts_.containers.Create(request->pod_sandbox_id(), request->config()));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::StartContainer(
    grpc::ServerContext*, const v1::StartContainerRequest* request,
    v1::StartContainerResponse*) {
  const std::string& id = request->container_id();
  return Answer("StartContainer", id,
                [&] { return parts_.containers.Start(id); });
}

grpc::Status RuntimeService::StopContainer(
    grpc::ServerContext* context, const v1::StopContainerRequest* request,
    v1::StopContainerResponse*) {
  const std::string& id = request->container_id();
  return Answer("StopContainer", id, [&] {
    return parts_.containers.Stop(id, absl::Seconds(request->timeout()),
                                  [&] { return context->IsCancelled(); });
  });
}

grpc::Status RuntimeService::RemoveContainer(
    grpc::ServerContext*, const v1::RemoveContainerRequest* request,
    v1::RemoveContainerResponse*) {
  const std::string& id = request->container_id();
  return Answer("RemoveContainer", id,
                [&] { return parts_.containers.Remove(id); });
}

grpc::Status RuntimeService::ContainerStatus(
    grpc::ServerContext*, const v1::ContainerStatusRequest* request,
    v1::ContainerStatusResponse* response) {
  return Answer("ContainerStatus", request->container_id(), [&] {
    ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                     parts_.store.FindContainer(request->container_id()));
    const std::shared_ptr<const ContainerRecord> held =
        container->record.Read();
    const ContainerRecord& record = *held;
    *response->mutable_status() = ToContainerStatus(record);
    if (request->verbose()) {
      const auto pod = parts_.store.FindPod(record.pod_id());
      const auto shim = pod.ok() ? (*pod)->shim() : nullptr;
      (*response->mutable_info())["info"] = ContainerInfo(record, shim.get());
    }
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ReopenContainerLog(
    grpc::ServerContext*, const v1::ReopenContainerLogRequest* request,
    v1::ReopenContainerLogResponse*) {
  const std::string& id = request->container_id();
  return Answer("ReopenContainerLog", id,
                [&] { return parts_.containers.ReopenLog(id); });
}

grpc::Status RuntimeService::UpdateContainerResources(
    grpc::ServerContext*, const v1::UpdateContainerResourcesRequest* request,
    v1::UpdateContainerResourcesResponse*) {
  const std::string& id = request->container_id();
  return Answer("UpdateContainerResources", id, [&] {
    return parts_.containers.UpdateResources(id, request->linux());
  });
}

}  // namespace serai::cri
