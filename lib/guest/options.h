// SPDX-License-Identifier: Apache-2.0
#pragma once

// The options that a guest takes, as its answer to `--help=plain` lists them.
// MirageOS' unikernels read their command line with cmdliner, which answers
// with a manual page as plain text. Pure functions, any thread.

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::guest {

// No more of a guest's answer is looked at, and no more options are kept.
inline constexpr size_t kMaxHelpBytes = 256 << 10;
inline constexpr size_t kMaxOptions = 1024;

// One option's names, with their dashes: {"-l", "--logs"}.
using OptionNames = std::vector<std::string>;

class GuestOptions {
 public:
  // Not known: the guest does not answer, or was not asked.
  GuestOptions() = default;
  // Known.
  explicit GuestOptions(std::vector<OptionNames> options);

  bool known() const { return known_; }
  const std::vector<OptionNames>& options() const { return options_; }

  // Whether one has this name ("--ipv4").
  bool Has(absl::string_view name) const;

  // Whether `args` give the option of that name: by any of its names, with its
  // value behind "=" or in the next word, or by the beginning of one, as
  // cmdliner takes it where that begins no other. What stands behind "--" is no
  // option.
  bool IsGiven(absl::string_view name,
               const std::vector<std::string>& args) const;

  bool operator==(const GuestOptions&) const = default;

 private:
  bool Means(absl::string_view word, absl::string_view name) const;

  bool known_ = false;
  std::vector<OptionNames> options_;
};

// The options in a manual page. The text is hostile: whatever it is, the result
// is a list of at most kMaxOptions options with names of letters, digits, "-"
// and "_". Not known when there is none.
GuestOptions ParseHelp(absl::string_view text);

// For a file: what FromJson() reads back as an equal value. INVALID_ARGUMENT
// for anything else.
std::string ToJson(const GuestOptions& options);
absl::StatusOr<GuestOptions> OptionsFromJson(absl::string_view json);

}  // namespace serai::guest
