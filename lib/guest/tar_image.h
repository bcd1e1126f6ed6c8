// SPDX-License-Identifier: Apache-2.0
#pragma once

// A directory's files as a tar, which a guest reads as a block device: plain
// ustar that depends on names, modes and contents alone (sorted; owner 0, time
// 0), a whole number of sectors. Any thread.

#include <cstddef>
#include <cstdint>

#include "lib/base/status.h"

namespace serai::guest {

struct TarLimits {
  uint64_t bytes;  // of the tar
  size_t entries;
  int depth;  // directories in one another
};

// A ConfigMap or Secret has 1 MiB at most, a projected volume several of them.
inline constexpr TarLimits kProjectedLimits = {64 << 20, 10'000, 32};
// Of an image that is a volume.
inline constexpr TarLimits kImageLimits = {1 << 30, 200'000, 64};

// Writes what kubelet projected into the directory `volume` to `out`, which is
// empty, as a container sees it: what `..data` leads to, without kubelet's own
// names. A symbolic link to a file in the volume is that file.
// INVALID_ARGUMENT, naming what it is, for a link that leads out of the volume
// or to a directory, for what is neither file nor directory, and for a name
// that no tar can have; RESOURCE_EXHAUSTED beyond the limits. What kubelet
// replaces meanwhile is read anew; ABORTED when it does so again and again. On
// an error `out` holds anything.
absl::Status WriteProjectedTar(int volume, const TarLimits& limits, int out);

// The same with the root directory of an image. A link is resolved in the
// image; one that leads to no file, and what is neither file nor directory, is
// left out.
absl::Status WriteImageTar(int root, const TarLimits& limits, int out);

}  // namespace serai::guest
