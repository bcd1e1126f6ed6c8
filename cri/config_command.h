// SPDX-License-Identifier: Apache-2.0
#pragma once

// `seraid config default` and `seraid config check [FILE]`.

#include <string>

namespace serai::cri {

// Prints what is wrong with the configuration that LoadConfig() reads, on
// stderr, and "OK" on stdout when it can be used. Things that are missing on
// this machine are warnings. The exit status: 0, or 1 after an error.
int CheckConfig(const std::string& path, bool must_exist);

}  // namespace serai::cri
