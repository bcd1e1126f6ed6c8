// SPDX-License-Identifier: Apache-2.0
#pragma once

// Finds an image among containerd's, and reads what it says of itself: name →
// index → the manifest for this machine → config.

#include <string>

#include "absl/strings/string_view.h"
#include "cri/containerd/client.h"
#include "cri/image/image.h"
#include "lib/base/status.h"

namespace serai::cri {

struct FoundImage {
  Image image;  // without a root
  // Of all its layers (image-spec config.md, "Layer ChainID"): what containerd
  // calls the snapshot that it has unpacked them to.
  std::string chain_id;
};

// `name` as in ImageSource::Acquire(). NOT_FOUND; INVALID_ARGUMENT for what is
// no name, the beginning of several ids, or a broken image;
// FAILED_PRECONDITION for an image that is not for this machine; and the
// client's errors.
absl::StatusOr<FoundImage> FindImage(ContainerdClient& client,
                                     absl::string_view name);

}  // namespace serai::cri
