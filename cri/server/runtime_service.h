// SPDX-License-Identifier: Apache-2.0
#pragma once

// runtime.v1.RuntimeService at its gRPC edge: takes requests apart, calls the
// managers, puts answers together. What is not here is UNIMPLEMENTED. The sync
// API: handlers block, each on a thread of gRPC's.

#include "absl/functional/function_ref.h"
#include "cni/network.h"
#include "cri/checkpoint/checkpoint_manager.h"
#include "cri/config/config.h"
#include "cri/container/container_manager.h"
#include "cri/events/event_hub.h"
#include "cri/pod/pod_manager.h"
#include "cri/state/store.h"
#include "cri/stats/stats_reader.h"
#include "cri/streaming/server.h"
#include "lib/host/cgroup.h"
#include "proto/cri/service.grpc.pb.h"

namespace serai::cri {

// GetContainerEvents alone is of the callback API: its calls don't end.
using RuntimeServiceBase =
    runtime::v1::RuntimeService::WithCallbackMethod_GetContainerEvents<
        runtime::v1::RuntimeService::Service>;

class RuntimeService final : public RuntimeServiceBase {
 public:
  // All must outlive the service.
  struct Parts {
    const Config& config;
    const ShimOptions& shim_options;
    const host::CgroupHierarchy& cgroups;
    cni::Client& network;
    const Store& store;
    PodManager& pods;
    ContainerManager& containers;
    EventHub& events;
    streaming::Server& streams;
    CheckpointManager& checkpoints;
  };
  explicit RuntimeService(const Parts& parts)
      : parts_(parts), stats_(parts.cgroups, parts.store, parts.config.root) {}

#define SERAI_RPC(name)                                        \
  grpc::Status name(grpc::ServerContext* context,              \
                    const runtime::v1::name##Request* request, \
                    runtime::v1::name##Response* response) override

#define SERAI_STREAM_RPC(name)                                                 \
  grpc::Status name(                                                           \
      grpc::ServerContext* context, const runtime::v1::name##Request* request, \
      grpc::ServerWriter<runtime::v1::name##Response>* writer) override

  // The node (runtime_node.cc).
  SERAI_RPC(Version);
  SERAI_RPC(Status);
  SERAI_RPC(RuntimeConfig);
  SERAI_RPC(UpdateRuntimeConfig);

  // Pods (runtime_pods.cc).
  SERAI_RPC(RunPodSandbox);
  SERAI_RPC(StopPodSandbox);
  SERAI_RPC(RemovePodSandbox);
  SERAI_RPC(PodSandboxStatus);
  SERAI_RPC(UpdatePodSandboxResources);

  // Containers (runtime_containers.cc).
  SERAI_RPC(CreateContainer);
  SERAI_RPC(StartContainer);
  SERAI_RPC(StopContainer);
  SERAI_RPC(RemoveContainer);
  SERAI_RPC(ContainerStatus);
  SERAI_RPC(ReopenContainerLog);
  SERAI_RPC(UpdateContainerResources);

  // Lists (runtime_lists.cc).
  SERAI_RPC(ListPodSandbox);
  SERAI_RPC(ListContainers);
  SERAI_RPC(ListContainerStats);
  SERAI_RPC(ListPodSandboxStats);
  SERAI_STREAM_RPC(StreamPodSandboxes);
  SERAI_STREAM_RPC(StreamContainers);
  SERAI_STREAM_RPC(StreamContainerStats);
  SERAI_STREAM_RPC(StreamPodSandboxStats);
  SERAI_RPC(ListPodSandboxMetrics);
  SERAI_STREAM_RPC(StreamPodSandboxMetrics);

  // Numbers and events (runtime_stats.cc).
  SERAI_RPC(ContainerStats);
  SERAI_RPC(PodSandboxStats);
  SERAI_RPC(ListMetricDescriptors);

  // Streaming, and what a unikernel cannot do (runtime_streaming.cc).
  SERAI_RPC(ExecSync);
  SERAI_RPC(Exec);
  SERAI_RPC(Attach);
  SERAI_RPC(PortForward);

  // Checkpoints (runtime_checkpoints.cc).
  SERAI_RPC(CheckpointContainer);
  SERAI_RPC(CheckpointPod);
  SERAI_RPC(RestorePod);

#undef SERAI_RPC
#undef SERAI_STREAM_RPC

  grpc::ServerWriteReactor<runtime::v1::ContainerEventResponse>*
  GetContainerEvents(grpc::CallbackServerContext* context,
                     const runtime::v1::GetEventsRequest* request) override;

 private:
  // The items of a list that pass a filter, one by one.
  template <typename Item>
  using Use = absl::FunctionRef<absl::Status(Item)>;
  absl::Status EachPod(const runtime::v1::PodSandboxFilter& filter,
                       Use<runtime::v1::PodSandbox> use) const;
  absl::Status EachContainer(const runtime::v1::ContainerFilter& filter,
                             Use<runtime::v1::Container> use) const;
  absl::Status EachContainerStats(
      const runtime::v1::ContainerStatsFilter& filter,
      Use<runtime::v1::ContainerStats> use) const;
  absl::Status EachPodStats(const runtime::v1::PodSandboxStatsFilter& filter,
                            Use<runtime::v1::PodSandboxStats> use) const;
  absl::Status EachPodMetrics(Use<runtime::v1::PodSandboxMetrics> use) const;

  const Parts parts_;
  const StatsReader stats_;
};

}  // namespace serai::cri
