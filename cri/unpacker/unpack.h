// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes an image's layers the one tree that its guests are run from.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/oci/digest.h"

namespace serai::cri {

struct UnpackLimits {
  int64_t max_bytes = int64_t{8} << 30;  // of all layers, uncompressed
  size_t max_entries = 262144;
};

struct Layer {
  int fd = -1;          // the blob, borrowed, at its beginning
  oci::Digest digest;   // of the blob, for messages: verified before
  oci::Digest diff_id;  // of what it unpacks to: verified here
};

// Unpacks `layers`, the lowest first, into `directory`, which must exist and be
// empty; on failure it holds a part and is the caller's to remove. Devices,
// FIFOs and sockets are left out; owners, times and extended attributes are not
// taken over. Not synced.
//
// INVALID_ARGUMENT for a damaged or hostile layer, DATA_LOSS for one that is
// not what its diff id says, RESOURCE_EXHAUSTED beyond the limits and on a full
// disk.
absl::Status UnpackLayers(const std::vector<Layer>& layers,
                          const std::string& directory,
                          const UnpackLimits& limits = {});

}  // namespace serai::cri
