// SPDX-License-Identifier: Apache-2.0
#include "cli/expand.h"

#include <algorithm>

namespace serai::cli {

std::string Expand(absl::string_view text,
                   const std::map<std::string, std::string>& variables) {
  std::string result;
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    result.append(text.data(), std::min(dollar, text.size()));
    if (dollar == absl::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    if (text.substr(0, 1) == "$") {
      result += '$';
      text.remove_prefix(1);
      continue;
    }
    const size_t end = text.find(')');
    if (text.substr(0, 1) != "(" || end == absl::string_view::npos) {
      result += '$';
      continue;
    }
    const auto it = variables.find(std::string(text.substr(1, end - 1)));
    if (it == variables.end()) {
      result += '$';
      continue;
    }
    result += it->second;
    text.remove_prefix(end + 1);
  }
  return result;
}

}  // namespace serai::cli
