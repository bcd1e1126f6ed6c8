// SPDX-License-Identifier: Apache-2.0
#include "cri/server/edge.h"

#include "absl/time/clock.h"
#include "cri/metrics/instruments.h"
#include "spdlog/spdlog.h"

namespace serai::cri {

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

grpc::Status Answer(const char* method, const std::string& id,
                    absl::FunctionRef<absl::Status()> work) {
  const absl::Time start = absl::Now();
  const absl::Status status = work();
  const absl::Duration time = absl::Now() - start;
  CountCall(method, status.code(), time);
  const double milliseconds = absl::ToDoubleMilliseconds(time);
  if (status.ok()) {
    spdlog::debug("{} {} ({:.1f} ms)", method, id, milliseconds);
    return grpc::Status::OK;
  }
  spdlog::warn("{} {}: {} ({:.1f} ms)", method, id, status.ToString(),
               milliseconds);
  return ToGrpc(status);
}

}  // namespace serai::cri
