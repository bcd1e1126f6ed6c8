// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one place where calls become visible: each RPC runs through Answer(),
// which logs and counts it, with how long it took, and turns our errors into
// gRPC's. What is beneath knows nothing of gRPC. Requests hold credentials and
// secrets: they go into the log by LogRequest() (cri/log/redact.h) alone.

#include <grpcpp/support/status.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "lib/base/status.h"

namespace serai::cri {

// Runs `work` as RPC `method`, a string literal, on the object `id` (may be
// empty).
grpc::Status Answer(const char* method, const std::string& id,
                    absl::FunctionRef<absl::Status()> work);

}  // namespace serai::cri
