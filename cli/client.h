// SPDX-License-Identifier: Apache-2.0
#pragma once

// seraid's services, over its socket. One blocking call each; any thread.
//
// Errors are the call's own: the server's code and message. UNAVAILABLE "no
// seraid at PATH …" when nobody listens there.

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "proto/control/control.pb.h"
#include "proto/cri/container.pb.h"
#include "proto/cri/image.pb.h"
#include "proto/cri/pod.pb.h"
#include "proto/cri/runtime.pb.h"
#include "proto/cri/stats.pb.h"

namespace serai::cli {

namespace v1 = runtime::v1;

class Client {
 public:
  // Connects to the unix socket at `socket`.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      const std::string& socket);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  absl::StatusOr<v1::VersionResponse> Version(const v1::VersionRequest&);
  absl::StatusOr<v1::RunPodSandboxResponse> RunPodSandbox(
      const v1::RunPodSandboxRequest&);
  absl::StatusOr<v1::StopPodSandboxResponse> StopPodSandbox(
      const v1::StopPodSandboxRequest&);
  absl::StatusOr<v1::RemovePodSandboxResponse> RemovePodSandbox(
      const v1::RemovePodSandboxRequest&);
  absl::StatusOr<v1::PodSandboxStatusResponse> PodSandboxStatus(
      const v1::PodSandboxStatusRequest&);
  absl::StatusOr<v1::ListPodSandboxResponse> ListPodSandbox(
      const v1::ListPodSandboxRequest&);
  absl::StatusOr<v1::CreateContainerResponse> CreateContainer(
      const v1::CreateContainerRequest&);
  absl::StatusOr<v1::StartContainerResponse> StartContainer(
      const v1::StartContainerRequest&);
  // The deadline is the request's timeout and two minutes more.
  absl::StatusOr<v1::StopContainerResponse> StopContainer(
      const v1::StopContainerRequest&);
  absl::StatusOr<v1::ContainerStatusResponse> ContainerStatus(
      const v1::ContainerStatusRequest&);
  absl::StatusOr<v1::ListContainersResponse> ListContainers(
      const v1::ListContainersRequest&);
  absl::StatusOr<v1::ListContainerStatsResponse> ListContainerStats(
      const v1::ListContainerStatsRequest&);

  // Pulls have an hour.
  absl::StatusOr<v1::PullImageResponse> PullImage(const v1::PullImageRequest&);
  // The same, told how far it is; UNIMPLEMENTED where only the CRI can do it.
  // Gives the image's id.
  using OnProgress = std::function<void(const control::v1::PullProgress&)>;
  absl::StatusOr<std::string> PullImageTold(
      const control::v1::PullImageRequest&, const OnProgress& on_progress);
  absl::StatusOr<v1::ImageStatusResponse> ImageStatus(
      const v1::ImageStatusRequest&);
  absl::StatusOr<v1::ListImagesResponse> ListImages(
      const v1::ListImagesRequest&);
  absl::StatusOr<v1::RemoveImageResponse> RemoveImage(
      const v1::RemoveImageRequest&);

  // Sends an archive. `next` gives its next piece, at most 1 MiB, "" at the
  // end; its error ends the call and is returned.
  using NextPiece = std::function<absl::StatusOr<std::string>()>;
  absl::StatusOr<control::v1::LoadImageResponse> LoadImage(
      const std::string& name, const NextPiece& next);

 private:
  struct Stubs;
  explicit Client(std::unique_ptr<Stubs> stubs);

  std::unique_ptr<Stubs> stubs_;
};

}  // namespace serai::cli
