// SPDX-License-Identifier: Apache-2.0
#pragma once

// An image's root directory, to be looked into.

#include <string>
#include <vector>

#include "cri/image/image.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::cri {

// The kernel takes mount options of one page, the final zero included.
inline constexpr size_t kMaxMountOptions = 4095;

// What an overlay of `layers`, the uppermost first, is mounted with: read-only,
// as there is no directory to write to.
std::string OverlayOption(const std::vector<std::string>& layers);

// An O_PATH descriptor of the root of `image`. An overlay of its layers is
// mounted in a mount namespace that is gone when this returns, and lasts as
// long as the descriptor: whenever we die, nothing stays. Any thread.
absl::StatusOr<UniqueFd> OpenRoot(const Image& image);

}  // namespace serai::cri
