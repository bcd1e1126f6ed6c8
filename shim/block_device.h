// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest's disk, opened for its tender.

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/oci/guest_devices.h"

namespace serai::shim {

// Opens what `device`, a block device, names: in the image, whose root is the
// directory `root`; below its directory; or on the host. It is checked again,
// for it may be another than it was. FAILED_PRECONDITION when it is in use: a
// disk that is written is one guest's alone, by a lock on the file or an
// exclusive claim of the block device that last as long as the descriptor and
// its copies.
absl::StatusOr<UniqueFd> OpenBlockDevice(const oci::GuestDevice& device,
                                         int root);

}  // namespace serai::shim
