// SPDX-License-Identifier: Apache-2.0
#pragma once

// Kubernetes' variable references in a container's command, args and env.

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace serai::cli {

// `text` with each $(NAME) replaced by its value in `variables`. A name that is
// not there stays as it stands; "$$" is a "$" that starts no reference.
std::string Expand(absl::string_view text,
                   const std::map<std::string, std::string>& variables);

}  // namespace serai::cli
