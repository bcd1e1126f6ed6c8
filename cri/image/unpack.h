// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes an image's layers the one tree that its guests are run from.

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"

namespace serai::cri {

struct UnpackLimits {
  int64_t max_bytes = int64_t{8} << 30;  // of all layers, uncompressed
  size_t max_entries = 262144;
};

// Unpacks the layers of `manifest`, lowest first, into `directory`, which must
// exist and be empty; on failure it holds a part and is the caller's to remove.
// Each layer's uncompressed content is checked against config.diff_ids.
// Devices, FIFOs and sockets are left out; owners, times and extended
// attributes are not taken over. The result is synced.
//
// INVALID_ARGUMENT for a damaged or hostile layer, DATA_LOSS for one that is
// not what its diff id says, RESOURCE_EXHAUSTED beyond the limits and on a full
// disk.
absl::Status UnpackLayers(const oci::Layout& layout,
                          const oci::Manifest& manifest,
                          const oci::ImageConfig& config,
                          const std::string& directory,
                          const UnpackLimits& limits = {});

}  // namespace serai::cri
