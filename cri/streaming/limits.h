// SPDX-License-Identifier: Apache-2.0
#pragma once

// How long connections stay.

#include <chrono>

namespace serai::cri::streaming {

// Without a byte either way. As kubelet and containerd have it: somebody may be
// looking at a quiet console.
inline constexpr std::chrono::hours kIdleTimeout(4);
// For a client to close its end, after we have.
inline constexpr std::chrono::seconds kLingerTimeout(10);

}  // namespace serai::cri::streaming
