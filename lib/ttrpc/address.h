// SPDX-License-Identifier: Apache-2.0
#pragma once

// How both kinds of client reach their server.

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::ttrpc {

// A socket connected to the one at `address`: a path, or unix:// and a path.
// Close-on-exec; `flags` as for socket(2), SOCK_NONBLOCK or 0. UNAVAILABLE when
// nobody listens there, there is no such socket, or (not blocking) the server
// is too busy to take one more. Any thread.
absl::StatusOr<UniqueFd> ConnectTo(absl::string_view address, int flags);

}  // namespace serai::ttrpc
