// SPDX-License-Identifier: Apache-2.0
#include "shim/options.h"

#include <cstddef>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serai::shim {
namespace {

// Where a flag's value goes; null when it is taken and not used.
using Flags = std::map<std::string, std::string*>;

bool IsName(absl::string_view name) {
  if (name.empty() || name.size() > 255 || name[0] == '.' || name[0] == '-') {
    return false;
  }
  for (const char c : name) {
    const bool alphanumeric = (c >= '0' && c <= '9') ||
                              (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alphanumeric && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

absl::Status Take(const Flags& flags, const std::vector<std::string>& args,
                  size_t& at) {
  const absl::string_view word = args[at];
  absl::string_view name = word.substr(absl::StartsWith(word, "--") ? 2 : 1);
  if (name == "debug") return absl::OkStatus();
  const size_t equals = name.find('=');
  const bool joined = equals != absl::string_view::npos;
  const absl::string_view value = joined ? name.substr(equals + 1) : "";
  name = name.substr(0, equals);
  const auto flag = flags.find(std::string(name));
  if (flag == flags.end()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown flag ", word));
  }
  if (!joined && at + 1 == args.size()) {
    return absl::InvalidArgumentError(absl::StrCat(word, " wants a value"));
  }
  const std::string text = joined ? std::string(value) : args[++at];
  if (flag->second != nullptr) *flag->second = text;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args) {
  Options options;
  const Flags flags = {{"namespace", &options.namespace_name},
                       {"id", &options.id},
                       {"bundle", &options.bundle},
                       {"address", nullptr},
                       {"publish-binary", nullptr},
                       {"socket", nullptr}};
  for (size_t at = 0; at < args.size(); ++at) {
    if (absl::StartsWith(args[at], "-")) {
      RETURN_IF_ERROR(Take(flags, args, at));
    } else if (options.command.empty()) {
      options.command = args[at];
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unexpected word ", args[at]));
    }
  }
  if (options.command != "start" && options.command != "delete") {
    return absl::InvalidArgumentError(absl::StrCat(
        "the command must be start or delete, not \"", options.command, "\""));
  }
  if (!IsName(options.id) || !IsName(options.namespace_name)) {
    return absl::InvalidArgumentError(
        "-id and -namespace are needed: letters, digits, '.', '_' and '-'");
  }
  return options;
}

}  // namespace serai::shim
