// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cri_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr absl::Duration kCallTimeout = absl::Seconds(60);

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

Call::Call() {
  context_.set_deadline(std::chrono::system_clock::now() +
                        absl::ToChronoSeconds(kCallTimeout));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelInterface>> CriClient::Connect(
    const std::string& socket) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  std::shared_ptr<grpc::ChannelInterface> channel = grpc::CreateCustomChannel(
      absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), args);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                 absl::ToChronoSeconds(kStartTimeout))) {
    return absl::UnavailableError(absl::StrCat("nobody answers at ", socket));
  }
  runtime_ = cri::RuntimeService::NewStub(channel);
  images_ = cri::ImageService::NewStub(channel);
  return channel;
}

void CriClient::Disconnect() {
  runtime_.reset();
  images_.reset();
}

cri::PodSandboxConfig CriClient::PodConfig(const std::string& name) const {
  cri::PodSandboxConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid(absl::StrCat("uid-", name));
  config.set_hostname(name);
  config.set_log_directory(JoinPath(log_directory_, name));
  config.mutable_linux()->set_cgroup_parent(cgroup_parent_);
  return config;
}

cri::ContainerConfig CriClient::ContainerConfig(
    const std::string& image, const std::vector<std::string>& args) const {
  cri::ContainerConfig config;
  config.mutable_metadata()->set_name("c");
  config.mutable_image()->set_image(image);
  for (const std::string& arg : args) config.add_args(arg);
  config.set_log_path("c/0.log");
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(32
                                                                         << 20);
  return config;
}

absl::StatusOr<std::string> CriClient::RunPod(const std::string& name,
                                              const std::string& handler) {
  return RunPod(PodConfig(name), handler);
}

absl::StatusOr<std::string> CriClient::RunPod(
    const cri::PodSandboxConfig& config, const std::string& handler) {
  Call call;
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(handler);
  cri::RunPodSandboxResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->RunPodSandbox(call.get(), request, &response)));
  const std::lock_guard lock(mutex_);
  configs_[response.pod_sandbox_id()] = config;
  return response.pod_sandbox_id();
}

absl::StatusOr<std::string> CriClient::Create(
    const std::string& pod, const cri::ContainerConfig& config) {
  // kubelet makes the log's directory.
  ASSIGN_OR_RETURN(const auto status, PodStatusOf(pod));
  RETURN_IF_ERROR(MakeDirs(
      JoinPath(JoinPath(log_directory_, status.metadata().name()), "c")));
  Call call;
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_config() = config;
  {
    const std::lock_guard lock(mutex_);
    *request.mutable_sandbox_config() = configs_[pod];
  }
  cri::CreateContainerResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->CreateContainer(call.get(), request, &response)));
  return response.container_id();
}

absl::Status CriClient::StartContainer(const std::string& container) {
  Call call;
  cri::StartContainerRequest request;
  request.set_container_id(container);
  cri::StartContainerResponse response;
  return FromGrpc(runtime_->StartContainer(call.get(), request, &response));
}

absl::Status CriClient::StopContainer(const std::string& container,
                                      int64_t seconds) {
  Call call;
  cri::StopContainerRequest request;
  request.set_container_id(container);
  request.set_timeout(seconds);
  cri::StopContainerResponse response;
  return FromGrpc(runtime_->StopContainer(call.get(), request, &response));
}

absl::Status CriClient::RemoveContainer(const std::string& container) {
  Call call;
  cri::RemoveContainerRequest request;
  request.set_container_id(container);
  cri::RemoveContainerResponse response;
  return FromGrpc(runtime_->RemoveContainer(call.get(), request, &response));
}

absl::Status CriClient::StopPod(const std::string& pod) {
  Call call;
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  cri::StopPodSandboxResponse response;
  return FromGrpc(runtime_->StopPodSandbox(call.get(), request, &response));
}

absl::Status CriClient::RemovePod(const std::string& pod) {
  Call call;
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(pod);
  cri::RemovePodSandboxResponse response;
  return FromGrpc(runtime_->RemovePodSandbox(call.get(), request, &response));
}

absl::StatusOr<cri::ContainerStatus> CriClient::StatusOf(
    const std::string& container) {
  Call call;
  cri::ContainerStatusRequest request;
  request.set_container_id(container);
  cri::ContainerStatusResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->ContainerStatus(call.get(), request, &response)));
  return response.status();
}

absl::StatusOr<cri::PodSandboxStatus> CriClient::PodStatusOf(
    const std::string& pod) {
  Call call;
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  cri::PodSandboxStatusResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->PodSandboxStatus(call.get(), request, &response)));
  return response.status();
}

absl::StatusOr<cri::ContainerStats> CriClient::StatsOf(
    const std::string& container) {
  Call call;
  cri::ContainerStatsRequest request;
  request.set_container_id(container);
  cri::ContainerStatsResponse response;
  RETURN_IF_ERROR(
      FromGrpc(runtime_->ContainerStats(call.get(), request, &response)));
  return response.stats();
}

std::vector<cri::PodSandbox> CriClient::Pods() {
  Call call;
  cri::ListPodSandboxResponse response;
  EXPECT_TRUE(runtime_->ListPodSandbox(call.get(), {}, &response).ok());
  return {response.items().begin(), response.items().end()};
}

std::vector<cri::Container> CriClient::Containers() {
  Call call;
  cri::ListContainersResponse response;
  EXPECT_TRUE(runtime_->ListContainers(call.get(), {}, &response).ok());
  return {response.containers().begin(), response.containers().end()};
}

absl::StatusOr<CriClient::Running> CriClient::Run(
    const std::string& name, const std::string& image,
    const std::vector<std::string>& args, const std::string& handler) {
  Running running;
  ASSIGN_OR_RETURN(running.pod, RunPod(name, handler));
  ASSIGN_OR_RETURN(running.container,
                   Create(running.pod, ContainerConfig(image, args)));
  RETURN_IF_ERROR(StartContainer(running.container));
  ASSIGN_OR_RETURN(const cri::PodSandboxStatus status,
                   PodStatusOf(running.pod));
  running.ip = status.network().ip();
  return running;
}

absl::StatusOr<cri::ContainerStatus> CriClient::WaitExited(
    const std::string& container, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    ASSIGN_OR_RETURN(const cri::ContainerStatus status, StatusOf(container));
    if (status.state() == cri::CONTAINER_EXITED) return status;
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError("the container has not ended");
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

void CriClient::RemoveAllPods() {
  if (runtime_ == nullptr) return;
  for (const cri::PodSandbox& pod : Pods()) {
    const absl::Status removed = RemovePod(pod.id());
    EXPECT_TRUE(removed.ok()) << removed;
  }
}

}  // namespace serai::testing
