// SPDX-License-Identifier: Apache-2.0
#include "cri/server/image_service.h"

#include <fcntl.h>

#include "absl/time/clock.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "lib/base/file.h"
#include "lib/guest/scan.h"
#include "nlohmann/json.hpp"

namespace serai::cri {
namespace {

using nlohmann::json;

json DescribeUnikernel(const guest::ScannedFile& file) {
  json devices = json::array();
  for (const solo5::ManifestEntry& entry : file.unikernel.Devices()) {
    devices.push_back(
        {{"name", entry.name}, {"type", solo5::DeviceTypeName(entry.type)}});
  }
  return {{"path", file.path},
          {"target", solo5::TargetName(file.unikernel.target)},
          {"abi", file.unikernel.abi_version},
          {"devices", std::move(devices)},
          {"memory_floor_bytes", file.unikernel.lowest_memory}};
}

// The answer's info["image"].
absl::StatusOr<std::string> Describe(const Image& image) {
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFile(image.rootfs, O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const guest::ScanResult scan,
                   guest::ScanForUnikernels(root.get()));
  json unikernels = json::array();
  for (const guest::ScannedFile& file : scan.unikernels) {
    unikernels.push_back(DescribeUnikernel(file));
  }
  const json info = {{"entrypoint", image.config.entrypoint},
                     {"cmd", image.config.cmd},
                     {"labels", image.config.labels},
                     {"annotations", image.annotations},
                     {"unikernels", std::move(unikernels)},
                     {"refused", scan.refused}};
  // What is no UTF-8 in an image's labels must not stop the description.
  return info.dump(-1, ' ', false, json::error_handler_t::replace);
}

oci::Credentials CredentialsOf(const v1::AuthConfig& auth) {
  oci::Credentials credentials;
  credentials.username = auth.username();
  credentials.password = auth.password();
  credentials.auth = auth.auth();
  credentials.server_address = auth.server_address();
  credentials.identity_token = auth.identity_token();
  credentials.registry_token = auth.registry_token();
  return credentials;
}

// kubelet takes the prefix of the message off for code UNKNOWN only, and then
// looks for this word to tell the pod's author that the registry is to blame.
absl::Status WordedForKubelet(const absl::Status& status) {
  if (!IsRegistryUnavailable(status)) return status;
  return absl::UnknownError(
      absl::StrCat("RegistryUnavailable: ", status.message()));
}

}  // namespace

grpc::Status ImageService::ListImages(grpc::ServerContext*,
                                      const v1::ListImagesRequest* request,
                                      v1::ListImagesResponse* response) {
  const std::string& wanted = request->filter().image().image();
  return Answer("ListImages", wanted, [&]() -> absl::Status {
    if (wanted.empty()) {
      for (const Image& image : images_.List()) {
        *response->add_images() = ToImage(image);
      }
      return absl::OkStatus();
    }
    const absl::StatusOr<Image> image = images_.Resolve(wanted);
    if (absl::IsNotFound(image.status())) return absl::OkStatus();
    RETURN_IF_ERROR(image.status());
    *response->add_images() = ToImage(*image);
    return absl::OkStatus();
  });
}

grpc::Status ImageService::ImageStatus(grpc::ServerContext*,
                                       const v1::ImageStatusRequest* request,
                                       v1::ImageStatusResponse* response) {
  const std::string& wanted = request->image().image();
  return Answer("ImageStatus", wanted, [&]() -> absl::Status {
    const absl::StatusOr<Image> image = images_.Resolve(wanted);
    // The CRI wants success with no image in it.
    if (absl::IsNotFound(image.status())) return absl::OkStatus();
    RETURN_IF_ERROR(image.status());
    *response->mutable_image() = ToImage(*image);
    if (request->verbose()) {
      ASSIGN_OR_RETURN((*response->mutable_info())["image"], Describe(*image));
    }
    return absl::OkStatus();
  });
}

grpc::Status ImageService::PullImage(grpc::ServerContext* context,
                                     const v1::PullImageRequest* request,
                                     v1::PullImageResponse* response) {
  const std::string& wanted = request->image().image();
  return Answer("PullImage", wanted, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const oci::Reference reference,
                     oci::Reference::Parse(wanted));
    const absl::StatusOr<Image> image =
        puller_.Pull(reference, CredentialsOf(request->auth()),
                     [context] { return context->IsCancelled(); });
    RETURN_IF_ERROR(WordedForKubelet(image.status()));
    response->set_image_ref(image->id);
    return absl::OkStatus();
  });
}

grpc::Status ImageService::RemoveImage(grpc::ServerContext*,
                                       const v1::RemoveImageRequest* request,
                                       v1::RemoveImageResponse*) {
  const std::string& name = request->image().image();
  return Answer("RemoveImage", name, [&] { return images_.Remove(name); });
}

grpc::Status ImageService::ImageFsInfo(grpc::ServerContext*,
                                       const v1::ImageFsInfoRequest*,
                                       v1::ImageFsInfoResponse* response) {
  return Answer("ImageFsInfo", "", [&] {
    ASSIGN_OR_RETURN(const ImageFsUsage usage, images_.Usage());
    for (v1::FilesystemUsage* out : {response->add_image_filesystems(),
                                     response->add_container_filesystems()}) {
      out->set_timestamp(absl::GetCurrentTimeNanos());
      out->mutable_fs_id()->set_mountpoint(usage.mountpoint);
      out->mutable_used_bytes()->set_value(usage.used_bytes);
      out->mutable_inodes_used()->set_value(usage.used_inodes);
    }
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
