// SPDX-License-Identifier: Apache-2.0
#pragma once

// Images as one tar file: an OCI layout in a tar ("oci-archive"), and on the
// way in also what `docker save` writes.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"

namespace serai::oci {

struct ArchiveLimits {
  int64_t max_bytes = int64_t{16} << 30;  // of all files, uncompressed
  size_t max_entries = 16384;
};

// An image found in an archive.
struct ArchiveImage {
  Descriptor manifest;             // an image manifest, never an index
  std::vector<std::string> names;  // as the archive has them, unparsed
};

// Reads a tar (plain, gzip or zstd; a pipe will do) from `fd` and stores its
// blobs in `layout`, each verified against its name. The index of `layout` is
// not touched: the caller decides what becomes of the images, and removes blobs
// that nothing refers to, on failure too. Indexes are resolved to this
// machine's platform. INVALID_ARGUMENT for a damaged archive or one without an
// image, DATA_LOSS for a blob that is not what its name says,
// RESOURCE_EXHAUSTED beyond the limits or on a full disk.
absl::StatusOr<std::vector<ArchiveImage>> ReadArchive(
    int fd, const Layout& layout, const ArchiveLimits& limits = {});

// Writes the images that `index` lists, with every blob they need, as an OCI
// archive to `fd`. Reproducible: entries sorted, owner 0, time 0, so that the
// same images give the same bytes.
absl::Status WriteArchive(const Layout& layout, const Index& index, int fd);

}  // namespace serai::oci
