// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/guest_arguments.h"

#include <cstddef>

#include "lib/solo5/abi.h"

namespace serai::oci {
namespace {

// Without the terminating NUL.
constexpr size_t kMaxGuestArguments = solo5::kMaxCommandLine - 1;

}  // namespace

std::string EscapeArgument(absl::string_view argument) {
  if (argument.empty()) return "\"\"";
  std::string escaped;
  for (const char c : argument) {
    if (c == ' ' || c == '"' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

absl::StatusOr<std::vector<std::string>> EscapeArguments(
    const std::vector<std::string>& arguments) {
  std::vector<std::string> escaped;
  size_t length = 0;
  for (const std::string& argument : arguments) {
    escaped.push_back(EscapeArgument(argument));
    length += escaped.back().size() + (escaped.size() > 1 ? 1 : 0);
  }
  if (length > kMaxGuestArguments) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the unikernel's arguments are ", length,
        " characters long; there is room for ", kMaxGuestArguments));
  }
  return escaped;
}

}  // namespace serai::oci
