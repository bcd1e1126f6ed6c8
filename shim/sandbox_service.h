// SPDX-License-Identifier: Apache-2.0
#pragma once

// containerd's sandbox API, containerd.runtime.sandbox.v1.Sandbox: what a
// containerd 2 makes a pod's sandbox by, in place of a sandbox task, where the
// runtime is configured with `sandboxer = "shim"`. Used by the shim's loop
// only.

#include <functional>
#include <string>
#include <utility>

#include "lib/base/status.h"
#include "lib/ttrpc/server.h"
#include "proto/task/sandbox.pb.h"
#include "shim/pod.h"

namespace serai::shim {

class SandboxService {
 public:
  // `on_shutdown` is called once, after a ShutdownSandbox has been answered.
  // `pod` outlives the service.
  SandboxService(Pod& pod, std::function<void()> on_shutdown)
      : pod_(pod), on_shutdown_(std::move(on_shutdown)) {}
  SandboxService(const SandboxService&) = delete;
  SandboxService& operator=(const SandboxService&) = delete;

  // ttrpc's handler for this service.
  void Handle(const ttrpc::Call& call, const ttrpc::Server::Reply& reply);

 private:
  template <typename Response>
  using Done = std::function<void(const absl::StatusOr<Response>&)>;

  absl::StatusOr<std::string> Answer(const ttrpc::Call& call);
  // NOT_FOUND when there is no such task or it is no sandbox.
  absl::StatusOr<Task*> Find(const std::string& id) const;

  absl::StatusOr<Task*> Make(const sandbox::CreateSandboxRequest& request);
  absl::StatusOr<sandbox::StartSandboxResponse> Start(
      const sandbox::StartSandboxRequest& request);
  absl::StatusOr<sandbox::PlatformResponse> Platform(
      const sandbox::PlatformRequest& request);
  absl::StatusOr<sandbox::StopSandboxResponse> Stop(
      const sandbox::StopSandboxRequest& request);
  absl::StatusOr<sandbox::SandboxStatusResponse> Status(
      const sandbox::SandboxStatusRequest& request);
  absl::StatusOr<sandbox::PingResponse> Ping(
      const sandbox::PingRequest& request);
  absl::StatusOr<sandbox::SandboxMetricsResponse> Metrics(
      const sandbox::SandboxMetricsRequest& request);
  void Create(const sandbox::CreateSandboxRequest& request,
              Done<sandbox::CreateSandboxResponse> done);
  void Wait(const sandbox::WaitSandboxRequest& request,
            Done<sandbox::WaitSandboxResponse> done);
  void Shutdown(const sandbox::ShutdownSandboxRequest& request,
                Done<sandbox::ShutdownSandboxResponse> done);

  Pod& pod_;
  const std::function<void()> on_shutdown_;
};

}  // namespace serai::shim
