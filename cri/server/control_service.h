// SPDX-License-Identifier: Apache-2.0
#pragma once

// serai.control.v1.Control: what the CLI needs beyond the CRI.

#include "cri/image/pull.h"
#include "cri/image/store.h"
#include "proto/control/control.grpc.pb.h"

namespace serai::cri {

class ControlService final : public control::v1::Control::Service {
 public:
  // Both must outlive the service. No puller: images are pulled by containerd,
  // which only the CRI reaches.
  ControlService(ImageStore& images, Puller* puller)
      : images_(images), puller_(puller) {}

  grpc::Status LoadImage(
      grpc::ServerContext* context,
      grpc::ServerReader<control::v1::LoadImageRequest>* reader,
      control::v1::LoadImageResponse* response) override;
  grpc::Status PullImage(
      grpc::ServerContext* context,
      const control::v1::PullImageRequest* request,
      grpc::ServerWriter<control::v1::PullProgress>* writer) override;

 private:
  ImageStore& images_;
  Puller* const puller_;
};

}  // namespace serai::cri
