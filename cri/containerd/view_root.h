// SPDX-License-Identifier: Apache-2.0
#pragma once

// From the mounts that containerd gives for a read-only view to the directories
// that the view consists of. The mounts are not made: the directories are read
// where they are, and several are put together by an overlay of ours. What
// containerd says is checked as if it were hostile.

#include <string>
#include <vector>

#include "cri/containerd/client.h"
#include "lib/base/status.h"

namespace serai::cri {

// The uppermost first; one at least. FAILED_PRECONDITION, naming what is given
// and what would do, for anything but one bind mount or one overlay of absolute
// paths without anything to write to.
absl::StatusOr<std::vector<std::string>> ViewDirectories(
    const std::vector<ViewMount>& mounts);

}  // namespace serai::cri
