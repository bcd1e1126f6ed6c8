// SPDX-License-Identifier: Apache-2.0
#pragma once

// The command line as words and options, by the quoting rules of MirageOS:
// words are separated by spaces, a backslash takes the next character as it is,
// double quotes keep spaces together. Leading words that begin with "--solo5:"
// are for the runtime and left out.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace serai::guest {

// The words; they stay valid. Exits with kExitUsage when there are more than
// 512.
std::span<const std::string_view> SplitCommandLine();

struct OptionSpec {
  std::string_view name;  // without the dashes
  std::string_view help;
};

// The options of the command line, each "--name=value" or "--name" (a flag,
// also "--name=true" and "--name=false"). The last one of a name counts. An
// error ends the guest with kExitUsage and a line that says what is wrong.
class Options {
 public:
  // Also answers --help and --help=plain (kExitHelp).
  Options(std::string_view program, std::span<const OptionSpec> specs);

  std::optional<std::string_view> Value(std::string_view name) const;
  bool Flag(std::string_view name) const;
  uint64_t Number(std::string_view name, uint64_t otherwise,
                  uint64_t max) const;

  // Says that the option's value is wrong, and exits with kExitUsage.
  [[noreturn]] void Reject(std::string_view name,
                           std::string_view expected) const;

 private:
  std::string_view program_;
  std::span<const std::string_view> words_;
};

// A decimal number up to `max`; nullopt for anything else.
std::optional<uint64_t> ParseNumber(std::string_view text, uint64_t max);

}  // namespace serai::guest
