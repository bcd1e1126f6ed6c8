// SPDX-License-Identifier: Apache-2.0
#pragma once

// runtime.v1.RuntimeService at its gRPC edge: takes requests apart, calls the
// managers, puts answers together. What is not here is UNIMPLEMENTED. The sync
// API: handlers block, each on a thread of gRPC's.

#include "cni/network.h"
#include "cri/config/config.h"
#include "cri/container/container_manager.h"
#include "cri/pod/pod_manager.h"
#include "cri/state/store.h"
#include "lib/host/cgroup.h"
#include "proto/cri/service.grpc.pb.h"

namespace serai::cri {

class RuntimeService final : public runtime::v1::RuntimeService::Service {
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
  };
  explicit RuntimeService(const Parts& parts) : parts_(parts) {}

#define SERAI_RPC(name)                                        \
  grpc::Status name(grpc::ServerContext* context,              \
                    const runtime::v1::name##Request* request, \
                    runtime::v1::name##Response* response) override

  // The node (runtime_node.cc).
  SERAI_RPC(Version);
  SERAI_RPC(Status);
  SERAI_RPC(RuntimeConfig);
  SERAI_RPC(UpdateRuntimeConfig);
  SERAI_RPC(ExecSync);
  SERAI_RPC(Exec);

  // Pods (runtime_pods.cc).
  SERAI_RPC(RunPodSandbox);
  SERAI_RPC(StopPodSandbox);
  SERAI_RPC(RemovePodSandbox);
  SERAI_RPC(PodSandboxStatus);
  SERAI_RPC(ListPodSandbox);

  // Containers (runtime_containers.cc).
  SERAI_RPC(CreateContainer);
  SERAI_RPC(StartContainer);
  SERAI_RPC(StopContainer);
  SERAI_RPC(RemoveContainer);
  SERAI_RPC(ListContainers);
  SERAI_RPC(ContainerStatus);
  SERAI_RPC(ReopenContainerLog);
  SERAI_RPC(ContainerStats);
  SERAI_RPC(ListContainerStats);

#undef SERAI_RPC

 private:
  absl::StatusOr<runtime::v1::ContainerStats> StatsOf(
      const Container& container) const;

  const Parts parts_;
};

}  // namespace serai::cri
