// SPDX-License-Identifier: Apache-2.0
// What one pod or container uses, and what becomes of all of them.
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/event_stream.h"
#include "cri/server/runtime_service.h"
#include "cri/stats/metric_descriptors.h"

namespace serai::cri {

grpc::Status RuntimeService::ContainerStats(
    grpc::ServerContext*, const v1::ContainerStatsRequest* request,
    v1::ContainerStatsResponse* response) {
  return Answer("ContainerStats", request->container_id(), [&] {
    ASSIGN_OR_RETURN(const std::shared_ptr<Container> container,
                     parts_.store.FindContainer(request->container_id()));
    ASSIGN_OR_RETURN(*response->mutable_stats(),
                     stats_.OfContainer(*container));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::PodSandboxStats(
    grpc::ServerContext*, const v1::PodSandboxStatsRequest* request,
    v1::PodSandboxStatsResponse* response) {
  return Answer("PodSandboxStats", request->pod_sandbox_id(), [&] {
    ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod,
                     parts_.store.FindPod(request->pod_sandbox_id()));
    ASSIGN_OR_RETURN(*response->mutable_stats(), stats_.OfPod(*pod));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ListMetricDescriptors(
    grpc::ServerContext*, const v1::ListMetricDescriptorsRequest*,
    v1::ListMetricDescriptorsResponse* response) {
  return Answer("ListMetricDescriptors", "", [&] {
    for (const v1::MetricDescriptor& descriptor : MetricDescriptors()) {
      *response->add_descriptors() = descriptor;
    }
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::ContainerEventResponse>*
RuntimeService::GetContainerEvents(grpc::CallbackServerContext* context,
                                   const v1::GetEventsRequest*) {
  return EventStream::Start(parts_.events, context);
}

}  // namespace serai::cri
