// SPDX-License-Identifier: Apache-2.0
#pragma once

// A router between a client that knows bytes only, services in seraid's place,
// and a server in containerd's.

#include <grpcpp/server.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cri/passthrough/router.h"
#include "proto/cri/service.grpc.pb.h"
#include "tests/cri/passthrough/fake_ours.h"
#include "tests/cri/passthrough/fake_server.h"
#include "tests/cri/passthrough/generic_call.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {

namespace v1 = ::runtime::v1;

// The path of a call of the runtime service.
std::string Method(const std::string& name);

// Seraid's own side: one pod with one container.
class LocalService final : public v1::RuntimeService::Service {
 public:
  std::atomic<bool> list_fails = false;
  std::atomic<bool> quiet = false;  // no events

  grpc::Status Version(grpc::ServerContext*, const v1::VersionRequest*,
                       v1::VersionResponse* response) override;
  grpc::Status ListPodSandbox(grpc::ServerContext*,
                              const v1::ListPodSandboxRequest*,
                              v1::ListPodSandboxResponse* response) override;
  grpc::Status StreamPodSandboxes(
      grpc::ServerContext*, const v1::StreamPodSandboxesRequest*,
      grpc::ServerWriter<v1::StreamPodSandboxesResponse>* writer) override;
  grpc::Status GetContainerEvents(
      grpc::ServerContext* context, const v1::GetEventsRequest*,
      grpc::ServerWriter<v1::ContainerEventResponse>* writer) override;
  grpc::Status PodSandboxStatus(
      grpc::ServerContext* context, const v1::PodSandboxStatusRequest*,
      v1::PodSandboxStatusResponse* response) override;
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusResponse* response) override;
};

class RouterTest : public ::testing::Test {
 protected:
  void SetUp() override;
  ~RouterTest() override;

  Outcome Exchange(const std::string& method,
                   const std::vector<std::string>& requests = {""},
                   const Metadata& metadata = {});
  v1::StatusResponse StatusOfNode();

  const TempDir directory_;
  const std::string containerd_socket_ = directory_ / "containerd.sock";
  FakeServer containerd_{containerd_socket_};
  FakeOurs ours_;
  LocalService local_;
  std::unique_ptr<cri::Router> router_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace serai::testing
