// SPDX-License-Identifier: Apache-2.0
#pragma once

// serai.control.v1.Control: what the CLI needs beyond the CRI.

#include "cri/image/store.h"
#include "proto/control/control.grpc.pb.h"

namespace serai::cri {

class ControlService final : public control::v1::Control::Service {
 public:
  // `images` must outlive the service.
  explicit ControlService(ImageStore& images) : images_(images) {}

  grpc::Status LoadImage(
      grpc::ServerContext* context,
      grpc::ServerReader<control::v1::LoadImageRequest>* reader,
      control::v1::LoadImageResponse* response) override;

 private:
  ImageStore& images_;
};

}  // namespace serai::cri
