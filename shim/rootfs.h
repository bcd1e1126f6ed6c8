// SPDX-License-Identifier: Apache-2.0
#pragma once

// A task's root file system: only ever looked at, for the unikernel and what
// else stands in the image.

#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/runtime_spec.h"
#include "proto/task/task.pb.h"

namespace serai::shim {

// A descriptor of the root directory. The request's mounts, which a container's
// snapshot is made of, are put together in the bundle and taken off the tree
// again at once: they last as long as the descriptor and what is opened through
// it, so there is nothing to clean up. Without mounts the directory must be
// there: `spec`'s root, which may be relative to the bundle. Errors name the
// mount.
absl::StatusOr<UniqueFd> OpenRoot(const task::CreateTaskRequest& request,
                                  const oci::RuntimeSpec& spec);

// Takes off what a shim that was killed meanwhile has left in the bundle.
absl::Status DetachRoot(const std::string& bundle);

}  // namespace serai::shim
