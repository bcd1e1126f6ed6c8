// SPDX-License-Identifier: Apache-2.0
#pragma once

// The daemon as its own client, for the watchdog.

#include <string>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::cri {

// Calls Version on a CRI socket. DEADLINE_EXCEEDED when nobody answers in time.
absl::Status AskVersion(const std::string& socket, absl::Duration timeout);

}  // namespace serai::cri
