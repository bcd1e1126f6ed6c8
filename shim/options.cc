// SPDX-License-Identifier: Apache-2.0
#include "shim/options.h"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serai::shim {
namespace {

// Where a flag's value goes; null when it is taken and not used.
using Flags = std::map<std::string, std::string*, std::less<>>;

// Those without a value. Go takes -flag=true and -flag=false for them as well.
bool IsSwitch(absl::string_view name) {
  return name == "debug" || name == "v" || name == "version" || name == "info";
}

// What a word on the command line is: "-name", "--name", "-name=value".
struct Flag {
  explicit Flag(absl::string_view word)
      : name(word.substr(absl::StartsWith(word, "--") ? 2 : 1)) {
    const size_t equals = name.find('=');
    if (equals == absl::string_view::npos) return;
    value = name.substr(equals + 1);
    name = name.substr(0, equals);
  }

  absl::string_view name;
  std::optional<absl::string_view> value;
};

absl::Status Take(const Flags& flags, const std::vector<std::string>& args,
                  size_t& at) {
  const std::string& word = args[at];
  const Flag flag(word);
  const auto known = flags.find(flag.name);
  if (known == flags.end()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown flag ", word));
  }
  if (!flag.value && at + 1 == args.size()) {
    return absl::InvalidArgumentError(absl::StrCat(word, " wants a value"));
  }
  const std::string text = flag.value ? std::string(*flag.value) : args[++at];
  if (known->second != nullptr) *known->second = text;
  return absl::OkStatus();
}

absl::StatusOr<Command> CommandOf(absl::string_view word) {
  if (word == "start") return Command::kStart;
  if (word == "delete") return Command::kDelete;
  return absl::InvalidArgumentError(
      absl::StrCat("the command must be start or delete, not \"", word, "\""));
}

}  // namespace

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

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args) {
  Options options;
  const Flags flags = {{"namespace", &options.namespace_name},
                       {"id", &options.id},
                       {"bundle", &options.bundle},
                       {"address", &options.address},
                       {"publish-binary", nullptr},
                       {"socket", nullptr},
                       {"debug-socket", nullptr}};
  std::string word;
  std::optional<Command> question;
  for (size_t at = 0; at < args.size(); ++at) {
    if (absl::StartsWith(args[at], "-")) {
      const Flag flag(args[at]);
      if (!IsSwitch(flag.name)) {
        RETURN_IF_ERROR(Take(flags, args, at));
      } else if (flag.name != "debug" && flag.value != "false") {
        question = flag.name == "info" ? Command::kInfo : Command::kVersion;
      }
    } else if (word.empty()) {
      word = args[at];
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unexpected word ", args[at]));
    }
  }
  if (question) {
    options.command = *question;
    return options;
  }
  ASSIGN_OR_RETURN(options.command, CommandOf(word));
  if (!IsName(options.id) || !IsName(options.namespace_name)) {
    return absl::InvalidArgumentError(
        "-id and -namespace are needed: letters, digits, '.', '_' and '-'");
  }
  return options;
}

}  // namespace serai::shim
