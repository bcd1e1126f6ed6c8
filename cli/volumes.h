// SPDX-License-Identifier: Apache-2.0
#pragma once

// The emptyDir volumes of pods that have no kubelet: directories laid out as
// kubelet does it, <base>/pods/<uid>/volumes/kubernetes.io~empty-dir/<name>.
// The base is $SERAI_VOLUME_DIR, else /var/lib/serai/run.

#include <string>

#include "cli/manifest.h"
#include "lib/base/rollback.h"
#include "lib/base/status.h"

namespace serai::cli {

// Makes those of `manifest`, which has its uid, and puts their paths into its
// mounts. The undo goes to `rollback`.
absl::Status MakeEmptyDirs(PodManifest& manifest, Rollback& rollback);

// Removes those of the pod of that uid. None there is success.
absl::Status RemoveEmptyDirs(const std::string& uid);

}  // namespace serai::cli
