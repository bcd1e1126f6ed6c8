// SPDX-License-Identifier: Apache-2.0
#pragma once

// Patterns of names in the configuration: "*" is any text and "?" any
// character, "/" included; the rest is meant as it stands.

#include <fnmatch.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"

namespace serai::cri {

inline bool MatchesAny(const std::string& name,
                       const std::vector<std::string>& patterns) {
  return std::any_of(
      patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        // "[" stands in addresses of IPv6.
        const std::string plain = absl::StrReplaceAll(pattern, {{"[", "[[]"}});
        return ::fnmatch(plain.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
      });
}

}  // namespace serai::cri
