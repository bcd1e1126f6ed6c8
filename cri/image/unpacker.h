// SPDX-License-Identifier: Apache-2.0
#pragma once

// Has the child process serai-unpack (cri/unpacker/, ADR 0016) do what reads
// the archives of strangers, and takes over what it made.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "cri/unpacker/unpack.h"
#include "lib/base/status.h"
#include "lib/oci/archive.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"

namespace serai::cri {

struct UnpackerOptions {
  std::string program;                         // path of serai-unpack
  absl::Duration timeout = absl::Minutes(15);  // of each run
  UnpackLimits image;                          // of all layers of an image
  oci::ArchiveLimits archive;
};

// Any method from any thread. `cancelled` is asked some ten times a second on
// the calling thread; true ends the child with CANCELLED. It may be empty.
//
// INVALID_ARGUMENT for damaged or hostile content, DATA_LOSS for content that
// is not what its digest says, RESOURCE_EXHAUSTED beyond the limits, after the
// timeout and on a full disk, FAILED_PRECONDITION for an archive of other
// machines, INTERNAL where the child could not be run or died.
class Unpacker {
 public:
  using Cancelled = std::function<bool()>;
  // Told of each blob before it is stored.
  using Keep = std::function<void(const oci::Digest&)>;

  explicit Unpacker(UnpackerOptions options) : options_(std::move(options)) {}

  // Unpacks the layers of `manifest` into `directory`, which must be empty and
  // the caller's alone; on failure it holds a part and is the caller's to
  // remove. Each layer's uncompressed content is checked against
  // config.diff_ids. The result is ours and synced.
  absl::Status UnpackLayers(const oci::Layout& layout,
                            const oci::Manifest& manifest,
                            const oci::ImageConfig& config,
                            const std::string& directory,
                            const Cancelled& cancelled) const;

  // Stores the blobs of the image archive `fd` (lib/oci/archive.h) in `layout`,
  // each verified, and gives the images in it. The archive must be whole: what
  // `layout` has already does not stand in for what is missing. `scratch` is an
  // empty directory on the layout's file system, and the caller's to remove.
  absl::StatusOr<std::vector<oci::ArchiveImage>> ReadArchive(
      int fd, const std::string& scratch, const oci::Layout& layout,
      const Keep& keep, const Cancelled& cancelled) const;

 private:
  absl::StatusOr<std::string> Run(std::vector<std::string> args,
                                  const std::string& directory,
                                  const std::vector<int>& inputs,
                                  const Cancelled& cancelled) const;

  const UnpackerOptions options_;
};

}  // namespace serai::cri
