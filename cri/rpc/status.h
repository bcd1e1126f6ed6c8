// SPDX-License-Identifier: Apache-2.0
#pragma once

// gRPC's form of our errors.

#include <grpcpp/support/status.h>

#include <string>

#include "lib/base/status.h"

namespace serai::cri {

// The codes are the same numbers.
inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

}  // namespace serai::cri
