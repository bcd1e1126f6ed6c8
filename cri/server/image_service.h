// SPDX-License-Identifier: Apache-2.0
#pragma once

// runtime.v1.ImageService at its gRPC edge, on the embedded image store.

#include "cri/image/pull.h"
#include "cri/image/store.h"
#include "proto/cri/service.grpc.pb.h"

namespace serai::cri {

class ImageService final : public runtime::v1::ImageService::Service {
 public:
  // Both must outlive the service.
  ImageService(ImageStore& images, Puller& puller)
      : images_(images), puller_(puller) {}

  grpc::Status ListImages(grpc::ServerContext* context,
                          const runtime::v1::ListImagesRequest* request,
                          runtime::v1::ListImagesResponse* response) override;
  grpc::Status StreamImages(
      grpc::ServerContext* context,
      const runtime::v1::StreamImagesRequest* request,
      grpc::ServerWriter<runtime::v1::StreamImagesResponse>* writer) override;
  grpc::Status ImageStatus(grpc::ServerContext* context,
                           const runtime::v1::ImageStatusRequest* request,
                           runtime::v1::ImageStatusResponse* response) override;
  grpc::Status PullImage(grpc::ServerContext* context,
                         const runtime::v1::PullImageRequest* request,
                         runtime::v1::PullImageResponse* response) override;
  grpc::Status RemoveImage(grpc::ServerContext* context,
                           const runtime::v1::RemoveImageRequest* request,
                           runtime::v1::RemoveImageResponse* response) override;
  grpc::Status ImageFsInfo(grpc::ServerContext* context,
                           const runtime::v1::ImageFsInfoRequest* request,
                           runtime::v1::ImageFsInfoResponse* response) override;

 private:
  ImageStore& images_;
  Puller& puller_;
};

}  // namespace serai::cri
