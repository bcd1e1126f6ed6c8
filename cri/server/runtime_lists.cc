// SPDX-License-Identifier: Apache-2.0
// Lists of pods and containers and of what they use, as one answer and as a
// stream of batches.
#include "cri/server/batch_writer.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/runtime_service.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// Whether there are numbers of one. It may be gone, or be taken down, by the
// time that they are read: a list is of the others then.
bool Has(const std::string& id, const absl::Status& numbers) {
  if (!numbers.ok() && !absl::IsNotFound(numbers) &&
      !absl::IsFailedPrecondition(numbers)) {
    spdlog::warn("{}: reading what it uses: {}", id,
                 std::string(numbers.message()));
  }
  return numbers.ok();
}

}  // namespace

absl::Status RuntimeService::EachPod(const v1::PodSandboxFilter& filter,
                                     Use<v1::PodSandbox> use) const {
  for (const std::shared_ptr<Pod>& pod : parts_.store.Pods()) {
    v1::PodSandbox item = ToPodSandbox(*pod);
    if (Passes(item, filter)) RETURN_IF_ERROR(use(std::move(item)));
  }
  return absl::OkStatus();
}

absl::Status RuntimeService::EachContainer(const v1::ContainerFilter& filter,
                                           Use<v1::Container> use) const {
  for (const auto& container : parts_.store.Containers()) {
    v1::Container item = ToContainer(*container->record.Read());
    if (Passes(item, filter)) RETURN_IF_ERROR(use(std::move(item)));
  }
  return absl::OkStatus();
}

absl::Status RuntimeService::EachContainerStats(
    const v1::ContainerStatsFilter& filter, Use<v1::ContainerStats> use) const {
  v1::ContainerFilter running;
  running.set_id(filter.id());
  running.set_pod_sandbox_id(filter.pod_sandbox_id());
  *running.mutable_label_selector() = filter.label_selector();
  running.mutable_state()->set_state(v1::CONTAINER_RUNNING);
  for (const auto& container : parts_.store.Containers()) {
    if (!Passes(ToContainer(*container->record.Read()), running)) continue;
    absl::StatusOr<v1::ContainerStats> stats = stats_.OfContainer(*container);
    if (!Has(container->id, stats.status())) continue;
    RETURN_IF_ERROR(use(*std::move(stats)));
  }
  return absl::OkStatus();
}

absl::Status RuntimeService::EachPodStats(
    const v1::PodSandboxStatsFilter& filter,
    Use<v1::PodSandboxStats> use) const {
  v1::PodSandboxFilter ready;
  ready.set_id(filter.id());
  *ready.mutable_label_selector() = filter.label_selector();
  ready.mutable_state()->set_state(v1::SANDBOX_READY);
  for (const std::shared_ptr<Pod>& pod : parts_.store.Pods()) {
    if (!Passes(ToPodSandbox(*pod), ready)) continue;
    absl::StatusOr<v1::PodSandboxStats> stats = stats_.OfPod(*pod);
    if (!Has(pod->id, stats.status())) continue;
    RETURN_IF_ERROR(use(*std::move(stats)));
  }
  return absl::OkStatus();
}

absl::Status RuntimeService::EachPodMetrics(
    Use<v1::PodSandboxMetrics> use) const {
  for (const std::shared_ptr<Pod>& pod : parts_.store.Pods()) {
    absl::StatusOr<v1::PodSandboxMetrics> metrics = stats_.MetricsOf(*pod);
    if (!Has(pod->id, metrics.status())) continue;
    RETURN_IF_ERROR(use(*std::move(metrics)));
  }
  return absl::OkStatus();
}

grpc::Status RuntimeService::ListPodSandbox(
    grpc::ServerContext*, const v1::ListPodSandboxRequest* request,
    v1::ListPodSandboxResponse* response) {
  return Answer("ListPodSandbox", "", [&] {
    return EachPod(request->filter(), [&](v1::PodSandbox item) {
      *response->add_items() = std::move(item);
      return absl::OkStatus();
    });
  });
}

grpc::Status RuntimeService::ListContainers(
    grpc::ServerContext*, const v1::ListContainersRequest* request,
    v1::ListContainersResponse* response) {
  return Answer("ListContainers", "", [&] {
    return EachContainer(request->filter(), [&](v1::Container item) {
      *response->add_containers() = std::move(item);
      return absl::OkStatus();
    });
  });
}

grpc::Status RuntimeService::ListContainerStats(
    grpc::ServerContext*, const v1::ListContainerStatsRequest* request,
    v1::ListContainerStatsResponse* response) {
  return Answer("ListContainerStats", "", [&] {
    return EachContainerStats(request->filter(), [&](v1::ContainerStats item) {
      *response->add_stats() = std::move(item);
      return absl::OkStatus();
    });
  });
}

grpc::Status RuntimeService::ListPodSandboxStats(
    grpc::ServerContext*, const v1::ListPodSandboxStatsRequest* request,
    v1::ListPodSandboxStatsResponse* response) {
  return Answer("ListPodSandboxStats", "", [&] {
    return EachPodStats(request->filter(), [&](v1::PodSandboxStats item) {
      *response->add_stats() = std::move(item);
      return absl::OkStatus();
    });
  });
}

grpc::Status RuntimeService::ListPodSandboxMetrics(
    grpc::ServerContext*, const v1::ListPodSandboxMetricsRequest*,
    v1::ListPodSandboxMetricsResponse* response) {
  return Answer("ListPodSandboxMetrics", "", [&] {
    return EachPodMetrics([&](v1::PodSandboxMetrics item) {
      *response->add_pod_metrics() = std::move(item);
      return absl::OkStatus();
    });
  });
}

grpc::Status RuntimeService::StreamPodSandboxes(
    grpc::ServerContext*, const v1::StreamPodSandboxesRequest* request,
    grpc::ServerWriter<v1::StreamPodSandboxesResponse>* writer) {
  return Answer("StreamPodSandboxes", "", [&] {
    BatchWriter<v1::StreamPodSandboxesResponse, v1::PodSandbox> batches(
        writer, &v1::StreamPodSandboxesResponse::mutable_pod_sandboxes);
    RETURN_IF_ERROR(EachPod(request->filter(), [&](v1::PodSandbox item) {
      return batches.Add(std::move(item));
    }));
    return batches.Flush();
  });
}

grpc::Status RuntimeService::StreamContainers(
    grpc::ServerContext*, const v1::StreamContainersRequest* request,
    grpc::ServerWriter<v1::StreamContainersResponse>* writer) {
  return Answer("StreamContainers", "", [&] {
    BatchWriter<v1::StreamContainersResponse, v1::Container> batches(
        writer, &v1::StreamContainersResponse::mutable_containers);
    RETURN_IF_ERROR(EachContainer(request->filter(), [&](v1::Container item) {
      return batches.Add(std::move(item));
    }));
    return batches.Flush();
  });
}

grpc::Status RuntimeService::StreamContainerStats(
    grpc::ServerContext*, const v1::StreamContainerStatsRequest* request,
    grpc::ServerWriter<v1::StreamContainerStatsResponse>* writer) {
  return Answer("StreamContainerStats", "", [&] {
    BatchWriter<v1::StreamContainerStatsResponse, v1::ContainerStats> batches(
        writer, &v1::StreamContainerStatsResponse::mutable_container_stats);
    RETURN_IF_ERROR(EachContainerStats(
        request->filter(),
        [&](v1::ContainerStats item) { return batches.Add(std::move(item)); }));
    return batches.Flush();
  });
}

grpc::Status RuntimeService::StreamPodSandboxStats(
    grpc::ServerContext*, const v1::StreamPodSandboxStatsRequest* request,
    grpc::ServerWriter<v1::StreamPodSandboxStatsResponse>* writer) {
  return Answer("StreamPodSandboxStats", "", [&] {
    BatchWriter<v1::StreamPodSandboxStatsResponse, v1::PodSandboxStats> batches(
        writer, &v1::StreamPodSandboxStatsResponse::mutable_pod_sandbox_stats);
    RETURN_IF_ERROR(
        EachPodStats(request->filter(), [&](v1::PodSandboxStats item) {
          return batches.Add(std::move(item));
        }));
    return batches.Flush();
  });
}

grpc::Status RuntimeService::StreamPodSandboxMetrics(
    grpc::ServerContext*, const v1::StreamPodSandboxMetricsRequest*,
    grpc::ServerWriter<v1::StreamPodSandboxMetricsResponse>* writer) {
  return Answer("StreamPodSandboxMetrics", "", [&] {
    BatchWriter<v1::StreamPodSandboxMetricsResponse, v1::PodSandboxMetrics>
        batches(
            writer,
            &v1::StreamPodSandboxMetricsResponse::mutable_pod_sandbox_metrics);
    RETURN_IF_ERROR(EachPodMetrics([&](v1::PodSandboxMetrics item) {
      return batches.Add(std::move(item));
    }));
    return batches.Flush();
  });
}

}  // namespace serai::cri
