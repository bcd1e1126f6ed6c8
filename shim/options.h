// SPDX-License-Identifier: Apache-2.0
#pragma once

// The command line that containerd gives a shim (docs/runtime-v2.md there): Go
// style flags, "-id x", "--id x" or "-id=x", then one command. Two questions
// are flags without a command: -v and -info.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::shim {

enum class Command { kStart, kDelete, kVersion, kInfo };

struct Options {
  std::string namespace_name;
  std::string id;       // the container's, or the sandbox's
  std::string bundle;   // empty: the working directory
  std::string address;  // containerd's gRPC socket, which tells two apart
  Command command = Command::kStart;
};

// INVALID_ARGUMENT for an unknown flag, one without its value, an unknown or
// missing command, or an id or namespace that can't be part of a file's name.
// Flags that containerd gives and that mean nothing here are taken.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args);

// Whether it can be an id or a namespace: letters, digits, '.', '_' and '-'.
bool IsName(absl::string_view name);

}  // namespace serai::shim
