// SPDX-License-Identifier: Apache-2.0
#include "cri/server/image_service.h"

#include <fcntl.h>

#include "absl/time/clock.h"
#include "cri/image/disk_usage.h"
#include "cri/log/redact.h"
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
// looks for these words to tell the pod's author what is to blame.
absl::Status WordedForKubelet(const absl::Status& status) {
  const char* word = IsRegistryUnavailable(status) ? "RegistryUnavailable"
                     : IsSignatureInvalid(status)  ? "SignatureValidationFailed"
                                                   : nullptr;
  if (word == nullptr) return status;
  return absl::UnknownError(absl::StrCat(word, ": ", status.message()));
}

void SetFilesystem(const std::string& mountpoint, const DiskUsage& usage,
                   v1::FilesystemUsage& out) {
  out.set_timestamp(absl::GetCurrentTimeNanos());
  out.mutable_fs_id()->set_mountpoint(mountpoint);
  out.mutable_used_bytes()->set_value(usage.bytes);
  out.mutable_inodes_used()->set_value(usage.inodes);
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
  LogRequest("PullImage", *request);
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
  return Answer("ImageFsInfo", "", [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const ImageFsUsage images, images_.Usage());
    SetFilesystem(images.mountpoint, {images.used_bytes, images.used_inodes},
                  *response->add_image_filesystems());
    // A unikernel's container has no writable layer. What the file system has
    // of containers and pods is their records.
    DiskUsage records;
    for (const char* name : {"containers", "pods"}) {
      ASSIGN_OR_RETURN(const DiskUsage below,
                       UsageBelow(JoinPath(images.mountpoint, name)));
      records += below;
    }
    SetFilesystem(images.mountpoint, records,
                  *response->add_container_filesystems());
    return absl::OkStatus();
  });
}

}  // namespace serai::cri
