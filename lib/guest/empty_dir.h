// SPDX-License-Identifier: Apache-2.0
#pragma once

// An emptyDir volume as a disk: a sparse raw image in its directory. The pod's
// containers share it, it outlives them, and kubelet removes it with the pod.

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::guest {

// Followed by a device's name: how large its emptyDir's image is, "1Gi".
inline constexpr char kPodAnnotationSize[] = "serai.dev/size.";
inline constexpr int64_t kDefaultEmptyDirSize = 1 << 30;

// Of `device`, in bytes, whole sectors: what the pod's annotation says, else
// the size of the file system when the directory is a mount of its own in
// memory, else `default_size`. INVALID_ARGUMENT for an annotation that is no
// size.
absl::StatusOr<int64_t> EmptyDirSize(
    int dir_fd, const std::string& device,
    const std::map<std::string, std::string>& pod_annotations,
    int64_t default_size);

// Makes the file `name` there, of `size` zeros, mode 0600, in one step. One
// that is there stays as it is.
absl::Status MakeEmptyDirImage(int dir_fd, const std::string& name,
                               int64_t size);

}  // namespace serai::guest
