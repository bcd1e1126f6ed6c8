// SPDX-License-Identifier: Apache-2.0
#pragma once

// The command line that containerd gives a shim (docs/runtime-v2.md there): Go
// style flags, "-id x", "--id x" or "-id=x", then one command.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::shim {

struct Options {
  std::string namespace_name;
  std::string id;       // the pod's
  std::string bundle;   // empty: the working directory
  std::string command;  // "start", "delete"
};

// INVALID_ARGUMENT for an unknown flag, one without its value, an unknown or
// missing command, or an id or namespace that can't be part of a file's name.
// Flags that containerd gives and that mean nothing here are taken.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args);

}  // namespace serai::shim
