// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/guest_arguments.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
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
  for (const std::string& argument : arguments) {
    escaped.push_back(EscapeArgument(argument));
  }
  return RawArguments(escaped);
}

absl::StatusOr<std::vector<std::string>> RawArguments(
    const std::vector<std::string>& arguments) {
  size_t length = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    length += arguments[i].size() + (i > 0 ? 1 : 0);
    const size_t nul = arguments[i].find('\0');
    if (nul != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the argument \"", arguments[i].substr(0, nul),
          "\" goes on with a NUL, which the unikernel's command line can't "
          "hold"));
    }
  }
  if (length > kMaxGuestArguments) {
    return absl::InvalidArgumentError(
        absl::StrCat("the unikernel's arguments are ", length,
                     " bytes long, quoted and with those that Serai adds; "
                     "there is room for ",
                     kMaxGuestArguments));
  }
  return arguments;
}

}  // namespace serai::oci
