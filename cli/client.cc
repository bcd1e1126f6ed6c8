// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "lib/base/unique_fd.h"
#include "proto/control/control.grpc.pb.h"
#include "proto/cri/service.grpc.pb.h"

namespace serai::cli {
namespace {

constexpr std::chrono::seconds kUsualDeadline{120};
constexpr std::chrono::seconds kTransferDeadline{3600};
constexpr int kMaxReceiveBytes = 16 << 20;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                           const Request&,
                                                           Response*),
                              const Request& request,
                              std::chrono::seconds deadline = kUsualDeadline) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + deadline);
  Response response;
  RETURN_IF_ERROR(FromGrpc((stub.*method)(&context, request, &response)));
  return response;
}

// Whether anybody listens. gRPC would say it too, in several lines, and with
// the code that a server of ours uses for things of its own.
absl::Status Knock(const std::string& socket) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket.empty() || socket.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", socket, "\" can't be the path of a socket"));
  }
  std::memcpy(address.sun_path, socket.data(), socket.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const void* raw = &address;
  if (::connect(fd.get(), static_cast<const sockaddr*>(raw), sizeof(address)) ==
      0) {
    return absl::OkStatus();
  }
  if (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED) {
    return absl::UnavailableError(
        absl::StrCat("no seraid at ", socket,
                     ": is it running? (--socket or SERAI_SOCKET names "
                     "another)"));
  }
  return ErrnoStatus(errno, absl::StrCat("connecting to ", socket));
}

}  // namespace

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : runtime(channel), image(channel), control(channel) {}

  v1::RuntimeService::Stub runtime;
  v1::ImageService::Stub image;
  control::v1::Control::Stub control;
};

Client::Client(std::unique_ptr<Stubs> stubs) : stubs_(std::move(stubs)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(
    const std::string& socket) {
  RETURN_IF_ERROR(Knock(socket));
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // An error's message is among it; containerd's are long at times.
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  auto stubs = std::make_unique<Stubs>(
      grpc::CreateCustomChannel(absl::StrCat("unix:", socket),
                                grpc::InsecureChannelCredentials(), arguments));
  return std::unique_ptr<Client>(new Client(std::move(stubs)));
}

using Runtime = v1::RuntimeService::Stub;
using Image = v1::ImageService::Stub;

absl::StatusOr<v1::VersionResponse> Client::Version(
    const v1::VersionRequest& request) {
  return Call(stubs_->runtime, &Runtime::Version, request);
}

absl::StatusOr<v1::RunPodSandboxResponse> Client::RunPodSandbox(
    const v1::RunPodSandboxRequest& request) {
  return Call(stubs_->runtime, &Runtime::RunPodSandbox, request,
              2 * kUsualDeadline);
}

absl::StatusOr<v1::StopPodSandboxResponse> Client::StopPodSandbox(
    const v1::StopPodSandboxRequest& request) {
  return Call(stubs_->runtime, &Runtime::StopPodSandbox, request);
}

absl::StatusOr<v1::RemovePodSandboxResponse> Client::RemovePodSandbox(
    const v1::RemovePodSandboxRequest& request) {
  return Call(stubs_->runtime, &Runtime::RemovePodSandbox, request);
}

absl::StatusOr<v1::PodSandboxStatusResponse> Client::PodSandboxStatus(
    const v1::PodSandboxStatusRequest& request) {
  return Call(stubs_->runtime, &Runtime::PodSandboxStatus, request);
}

absl::StatusOr<v1::ListPodSandboxResponse> Client::ListPodSandbox(
    const v1::ListPodSandboxRequest& request) {
  return Call(stubs_->runtime, &Runtime::ListPodSandbox, request);
}

absl::StatusOr<v1::CreateContainerResponse> Client::CreateContainer(
    const v1::CreateContainerRequest& request) {
  return Call(stubs_->runtime, &Runtime::CreateContainer, request);
}

absl::StatusOr<v1::StartContainerResponse> Client::StartContainer(
    const v1::StartContainerRequest& request) {
  return Call(stubs_->runtime, &Runtime::StartContainer, request);
}

absl::StatusOr<v1::StopContainerResponse> Client::StopContainer(
    const v1::StopContainerRequest& request) {
  return Call(stubs_->runtime, &Runtime::StopContainer, request,
              std::chrono::seconds(request.timeout()) + kUsualDeadline);
}

absl::StatusOr<v1::ContainerStatusResponse> Client::ContainerStatus(
    const v1::ContainerStatusRequest& request) {
  return Call(stubs_->runtime, &Runtime::ContainerStatus, request);
}

absl::StatusOr<v1::ListContainersResponse> Client::ListContainers(
    const v1::ListContainersRequest& request) {
  return Call(stubs_->runtime, &Runtime::ListContainers, request);
}

absl::StatusOr<v1::ListContainerStatsResponse> Client::ListContainerStats(
    const v1::ListContainerStatsRequest& request) {
  return Call(stubs_->runtime, &Runtime::ListContainerStats, request);
}

absl::StatusOr<v1::PullImageResponse> Client::PullImage(
    const v1::PullImageRequest& request) {
  return Call(stubs_->image, &Image::PullImage, request, kTransferDeadline);
}

absl::StatusOr<std::string> Client::PullImageTold(
    const control::v1::PullImageRequest& request,
    const OnProgress& on_progress) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTransferDeadline);
  const auto reader = stubs_->control.PullImage(&context, request);
  control::v1::PullProgress progress;
  while (reader->Read(&progress)) on_progress(progress);
  RETURN_IF_ERROR(FromGrpc(reader->Finish()));
  return progress.image_id();
}

absl::StatusOr<v1::ImageStatusResponse> Client::ImageStatus(
    const v1::ImageStatusRequest& request) {
  return Call(stubs_->image, &Image::ImageStatus, request);
}

absl::StatusOr<v1::ListImagesResponse> Client::ListImages(
    const v1::ListImagesRequest& request) {
  return Call(stubs_->image, &Image::ListImages, request);
}

absl::StatusOr<v1::RemoveImageResponse> Client::RemoveImage(
    const v1::RemoveImageRequest& request) {
  return Call(stubs_->image, &Image::RemoveImage, request);
}

absl::StatusOr<control::v1::LoadImageResponse> Client::LoadImage(
    const std::string& name, const NextPiece& next) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTransferDeadline);
  control::v1::LoadImageResponse response;
  const auto writer = stubs_->control.LoadImage(&context, &response);
  control::v1::LoadImageRequest request;
  request.set_name(name);
  // A write fails when the server has already answered: Finish knows why.
  for (bool writable = true; writable; request.clear_name()) {
    absl::StatusOr<std::string> piece = next();
    if (!piece.ok()) {
      context.TryCancel();
      writer->Finish().IgnoreError();
      return piece.status();
    }
    if (piece->empty()) break;
    request.set_data(*std::move(piece));
    writable = writer->Write(request);
  }
  writer->WritesDone();
  RETURN_IF_ERROR(FromGrpc(writer->Finish()));
  return response;
}

}  // namespace serai::cli
