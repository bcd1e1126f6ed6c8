// SPDX-License-Identifier: Apache-2.0
#pragma once

// A volume that is an image (KEP 4639): its files as a tar, which a guest reads
// as a disk.

#include <string>

#include "cri/image/source.h"
#include "lib/base/status.h"
#include "proto/cri/container.pb.h"

namespace serai::cri {

// Makes the tar of `mount` in `directory`, which is made and is whoever's to
// remove, also after an error; gives its path. The image is held, as
// `container`'s, while it is copied and not longer. Any thread.
absl::StatusOr<std::string> MakeImageVolume(ImageSource& images,
                                            const runtime::v1::Mount& mount,
                                            const std::string& container,
                                            const std::string& directory);

}  // namespace serai::cri
