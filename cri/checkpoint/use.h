// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which pod a checkpoint is restored as. Two guests of one memory image would
// draw the same random numbers, so a checkpoint is used up once a guest goes on
// from it. Until then it belongs to one pod, and is free again when there is no
// such pod: when the restore failed, its daemon was killed, or the pod was
// removed. A use is a file with the pod's name, or, until it is used up, with
// "restoring " and the name. Any thread, but for one checkpoint one at a time.

#include <string>

#include "absl/functional/function_ref.h"
#include "lib/base/status.h"

namespace serai::cri {

// Takes the checkpoint whose use is `path` for the pod called `pod`. True when
// it was that pod's already, and the pod is there. FAILED_PRECONDITION when it
// is used up, or another's. `is_there`: whether a pod of that name is.
absl::StatusOr<bool> TakeCheckpoint(
    const std::string& path, const std::string& pod,
    absl::FunctionRef<bool(const std::string&)> is_there);

// For good, before the guest is started. FAILED_PRECONDITION when it is not
// taken for `pod`, or is used up.
absl::Status UseUpCheckpoint(const std::string& path, const std::string& pod);

}  // namespace serai::cri
