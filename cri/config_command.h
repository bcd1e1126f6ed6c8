// SPDX-License-Identifier: Apache-2.0
#pragma once

// `seraid config default` and `seraid config check [FILE]`.

#include <string>

#include "cri/config/config.h"
#include "lib/base/status.h"

namespace serai::cri {

// The configuration in `path`; the defaults where there is no such file and
// nobody asked for it by name.
absl::StatusOr<Config> ReadConfig(const std::string& path, bool explicitly);

// Prints what is wrong with the configuration in `path`, on stderr, and "OK" on
// stdout when it can be used. Things that are missing on this machine are
// warnings. The exit status: 0, or 1 after an error.
int CheckConfig(const std::string& path, bool explicitly);

}  // namespace serai::cri
