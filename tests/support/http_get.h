// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::testing {

// What an HTTP server answers: status line, headers and body in one.
// UNAVAILABLE when no connection or no answer is to be had in time.
absl::StatusOr<std::string> HttpGet(const std::string& ip, int port,
                                    const std::string& path,
                                    absl::Duration timeout = absl::Seconds(2));
// The same, tried again until `timeout`: for a guest that is starting.
absl::StatusOr<std::string> HttpGetRetried(
    const std::string& ip, int port, const std::string& path,
    absl::Duration timeout = absl::Seconds(20));

}  // namespace serai::testing
