// SPDX-License-Identifier: Apache-2.0
// Containers: thin over ContainerManager and the store.
#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"
#include "nlohmann/json.hpp"

namespace serai::cri {

grpc::Status RuntimeService::CreateContainer(
    grpc::ServerContext*, const v1::CreateContainerRequest* request,
    v1::CreateContainerResponse* response) {
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

grpc::Status RuntimeService::ListContainers(
    grpc::ServerContext*, const v1::ListContainersRequest* request,
    v1::ListContainersResponse* response) {
  return Answer("ListContainers", "", [&] {
    for (const auto& container : parts_.store.Containers()) {
      v1::Container item = ToContainer(*container->record.Read());
      if (Passes(item, request->filter())) {
        *response->add_containers() = std::move(item);
      }
    }
    return absl::OkStatus();
  });
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
      const nlohmann::json info = {{"unikernel", record.unikernel()},
                                   {"target", record.target()},
                                   {"bundle", record.bundle()},
                                   {"cgroup", record.cgroup()},
                                   {"sandboxID", record.pod_id()}};
      // A path in an image need not be UTF-8.
      (*response->mutable_info())["serai"] =
          info.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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

absl::StatusOr<v1::ContainerStats> RuntimeService::StatsOf(
    const Container& container) const {
  const std::shared_ptr<const ContainerRecord> held = container.record.Read();
  const ContainerRecord& record = *held;
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(parts_.cgroups, record.cgroup()));
  ASSIGN_OR_RETURN(const host::CgroupUsage usage, cgroup.Usage());
  return ToContainerStats(record, usage, absl::GetCurrentTimeNanos());
}

grpc::Status RuntimeService::ContainerStats(
    grpc::ServerContext*, const v1::ContainerStatsRequest* request,
    v1::ContainerStatsResponse* response) {
  return Answer("ContainerStats", request->container_id(), [&] {
    ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                     parts_.store.FindContainer(request->container_id()));
    ASSIGN_OR_RETURN(*response->mutable_stats(), StatsOf(*container));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListContainerStats(
    grpc::ServerContext*, const v1::ListContainerStatsRequest* request,
    v1::ListContainerStatsResponse* response) {
  v1::ContainerFilter filter;
  filter.set_id(request->filter().id());
  filter.set_pod_sandbox_id(request->filter().pod_sandbox_id());
  *filter.mutable_label_selector() = request->filter().label_selector();
  filter.mutable_state()->set_state(v1::CONTAINER_RUNNING);
  return Answer("ListContainerStats", "", [&] {
    for (const auto& container : parts_.store.Containers()) {
      if (!Passes(ToContainer(*container->record.Read()), filter)) continue;
      absl::StatusOr<v1::ContainerStats> stats = StatsOf(*container);
      // One that ends meanwhile has none.
      if (absl::IsNotFound(stats.status())) continue;
      RETURN_IF_ERROR(stats.status());
      *response->add_stats() = *std::move(stats);
    }
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
