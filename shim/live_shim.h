// SPDX-License-Identifier: Apache-2.0
#pragma once

// `delete` asking the shim that still serves the pod. containerd calls `delete`
// whenever its connection to a shim is gone, also when it was itself that
// closed it.

#include <string>

#include "lib/base/status.h"
#include "proto/task/task.pb.h"

namespace serai::shim {

// Has the shim at `socket_path` kill and delete the task, and end if that was
// its last. NOT_FOUND when it has no such task; another error when it does not
// do as asked within a few seconds.
absl::StatusOr<task::DeleteResponse> DeleteFromLiveShim(
    const std::string& socket_path, const std::string& id);

}  // namespace serai::shim
