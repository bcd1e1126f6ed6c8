// SPDX-License-Identifier: Apache-2.0
#include "cri/server/edge.h"

#include <cstring>

#include "cri/log/log.h"
#include "cri/metrics/instruments.h"
#include "cri/rpc/status.h"
#include "lib/base/deadline.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

// What the id of a call is an id of.
LogField FieldOf(const char* method) {
  if (std::strcmp(method, "RunPodSandbox") == 0) return LogField::kPodName;
  // CreateContainer is asked of a pod.
  if (std::strcmp(method, "CreateContainer") == 0) return LogField::kPod;
  if (std::strstr(method, "Image") != nullptr) return LogField::kImage;
  if (std::strstr(method, "Container") != nullptr ||
      std::strncmp(method, "Exec", 4) == 0 ||
      std::strcmp(method, "Attach") == 0) {
    return LogField::kContainer;
  }
  return LogField::kPod;
}

}  // namespace

grpc::Status Answer(const char* method, const std::string& id,
                    absl::FunctionRef<absl::Status()> work) {
  const LogScope scope;
  NoteForLog(LogField::kMethod, method);
  NoteForLog(FieldOf(method), id);
  const Stopwatch watch;
  const absl::Status status = work();
  const absl::Duration time = watch.Elapsed();
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
