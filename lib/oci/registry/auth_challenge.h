// SPDX-License-Identifier: Apache-2.0
#pragma once

// The WWW-Authenticate header: RFC 9110, section 11.6.1.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

struct AuthChallenge {
  std::string scheme;                         // lower case: "bearer", "basic"
  std::map<std::string, std::string> params;  // names in lower case
};

// The challenges of one header's value, in its order. INVALID_ARGUMENT when the
// value is not in the grammar, longer than 8 KiB, or has more than 16
// challenges or 32 parameters. Of a parameter given twice, the first counts.
absl::StatusOr<std::vector<AuthChallenge>> ParseWwwAuthenticate(
    absl::string_view value);

}  // namespace serai::oci
