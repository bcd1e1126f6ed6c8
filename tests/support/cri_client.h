// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kubelet's side of the CRI as plain calls, for tests: of seraid (TestNode)
// and of containerd (TestContainerd).

#include <grpcpp/client_context.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status.h"
#include "proto/cri/service.grpc.pb.h"

namespace serai::testing {

namespace cri = ::runtime::v1;

// gRPC's status as ours.
absl::Status FromGrpc(const grpc::Status& status);

// A call's context, with the time a call may take.
class Call {
 public:
  Call();
  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
};

class CriClient {
 public:
  CriClient() = default;
  CriClient(const CriClient&) = delete;
  CriClient& operator=(const CriClient&) = delete;

  cri::RuntimeService::Stub& runtime() { return *runtime_; }
  cri::ImageService::Stub& images() { return *images_; }

  absl::StatusOr<std::string> RunPod(const std::string& name,
                                     const std::string& handler = "unikernel");
  absl::StatusOr<std::string> RunPod(const cri::PodSandboxConfig& config,
                                     const std::string& handler = "unikernel");
  absl::StatusOr<std::string> Create(const std::string& pod,
                                     const cri::ContainerConfig& config);
  absl::Status StartContainer(const std::string& container);
  absl::Status StopContainer(const std::string& container, int64_t seconds);
  absl::Status RemoveContainer(const std::string& container);
  absl::Status StopPod(const std::string& pod);
  absl::Status RemovePod(const std::string& pod);
  absl::StatusOr<cri::ContainerStatus> StatusOf(const std::string& container);
  absl::StatusOr<cri::PodSandboxStatus> PodStatusOf(const std::string& pod);
  absl::StatusOr<cri::ContainerStats> StatsOf(const std::string& container);
  std::vector<cri::PodSandbox> Pods();
  std::vector<cri::Container> Containers();

  // A pod's configuration with a log directory of its own.
  cri::PodSandboxConfig PodConfig(const std::string& name) const;
  // Container `c` of `image`, with arguments, 32 MiB, and log `c/0.log`.
  cri::ContainerConfig ContainerConfig(
      const std::string& image, const std::vector<std::string>& args) const;

  struct Running {
    std::string pod;
    std::string container;
    std::string ip;
  };
  // All of it at once: pod, container, start.
  absl::StatusOr<Running> Run(const std::string& name, const std::string& image,
                              const std::vector<std::string>& args = {},
                              const std::string& handler = "unikernel");

  // Waits until the container has ended.
  absl::StatusOr<cri::ContainerStatus> WaitExited(
      const std::string& container, absl::Duration timeout = absl::Seconds(20));

 protected:
  ~CriClient() = default;

  // What PodConfig() names: a directory below which every pod has its logs, and
  // a control group below which it has its own (empty: the server's default).
  void SetLogDirectory(std::string path) { log_directory_ = std::move(path); }
  void SetCgroupParent(std::string path) { cgroup_parent_ = std::move(path); }

  // Waits until somebody answers on the socket; UNAVAILABLE when nobody does.
  absl::StatusOr<std::shared_ptr<grpc::ChannelInterface>> Connect(
      const std::string& socket);
  void Disconnect();
  bool connected() const { return runtime_ != nullptr; }

  // Every pod, by force. Fails the test for each that stays.
  void RemoveAllPods();

 private:
  std::string log_directory_;
  std::string cgroup_parent_;
  std::mutex mutex_;
  // By the pods' ids: CreateContainer wants them again.
  std::map<std::string, cri::PodSandboxConfig> configs_;
  std::unique_ptr<cri::RuntimeService::Stub> runtime_;
  std::unique_ptr<cri::ImageService::Stub> images_;
};

}  // namespace serai::testing
