// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/options.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/oci/json_reader.h"

namespace serai::guest {
namespace {

using oci::Json;

constexpr size_t kMaxName = 64;
constexpr size_t kMaxNames = 16;  // of one option

// "--ipv4-gateway" or "-l".
bool IsOptionName(absl::string_view name) {
  const bool is_long = absl::ConsumePrefix(&name, "--");
  if (!is_long && !absl::ConsumePrefix(&name, "-")) return false;
  if (name.empty() || name.size() > kMaxName || name[0] == '-') return false;
  if (!is_long && name.size() != 1) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
           c == '_';
  });
}

// The names in "-l LEVEL, --logs=LEVEL (absent MIRAGE_LOGS env)". Values may
// have spaces and commas in them.
OptionNames NamesIn(absl::string_view label) {
  OptionNames names;
  label = label.substr(0, label.find(" ("));
  for (absl::string_view part : absl::StrSplit(label, ',')) {
    part = absl::StripAsciiWhitespace(part);
    part = part.substr(0, part.find_first_of(" =["));
    if (IsOptionName(part) && names.size() < kMaxNames) {
      names.emplace_back(part);
    }
  }
  return names;
}

size_t Indent(absl::string_view line) {
  const size_t indent = line.find_first_not_of(' ');
  return indent == absl::string_view::npos ? line.size() : indent;
}

}  // namespace

GuestOptions::GuestOptions(std::vector<OptionNames> options)
    : known_(true), options_(std::move(options)) {}

bool GuestOptions::Has(absl::string_view name) const {
  return std::any_of(
      options_.begin(), options_.end(), [&](const OptionNames& names) {
        return std::find(names.begin(), names.end(), name) != names.end();
      });
}

// Whether the word, an option without its value, is that of `name`.
bool GuestOptions::Means(absl::string_view word, absl::string_view name) const {
  if (word == name) return true;
  const OptionNames* found = nullptr;
  for (const OptionNames& names : options_) {
    if (std::find(names.begin(), names.end(), word) != names.end()) {
      return std::find(names.begin(), names.end(), name) != names.end();
    }
    const bool begins =
        absl::StartsWith(word, "--") && word.size() > 2 &&
        std::any_of(names.begin(), names.end(), [&](const std::string& whole) {
          return absl::StartsWith(whole, word);
        });
    if (!begins) continue;
    if (found != nullptr) return false;  // the guest will complain
    found = &names;
  }
  return found != nullptr &&
         std::find(found->begin(), found->end(), name) != found->end();
}

bool GuestOptions::IsGiven(absl::string_view name,
                           const std::vector<std::string>& args) const {
  for (const std::string& arg : args) {
    if (arg == "--") return false;
    if (arg.size() < 2 || arg[0] != '-') continue;
    // A short option's value may stand right behind it.
    const absl::string_view word =
        arg[1] == '-' ? absl::string_view(arg).substr(0, arg.find('='))
                      : absl::string_view(arg).substr(0, 2);
    if (Means(word, name)) return true;
  }
  return false;
}

GuestOptions ParseHelp(absl::string_view text) {
  // As groff wants dashes, which some versions leave in.
  const std::string plain =
      absl::StrReplaceAll(text.substr(0, kMaxHelpBytes), {{"\\-", "-"}});
  std::vector<OptionNames> options;
  // The first is the first line of a paragraph; lines that stand further in are
  // what is said of an option.
  bool paragraph_begins = true;
  std::optional<size_t> deepest;
  for (absl::string_view line : absl::StrSplit(plain, '\n')) {
    line = absl::StripTrailingAsciiWhitespace(line);
    const size_t indent = Indent(line);
    const bool begins = deepest ? indent <= *deepest : paragraph_begins;
    paragraph_begins = line.empty() || indent == 0;
    if (!begins || line.empty() || line[indent] != '-') continue;
    OptionNames names = NamesIn(line.substr(indent));
    if (names.empty()) continue;
    deepest = indent;
    options.push_back(std::move(names));
    if (options.size() == kMaxOptions) break;
  }
  return options.empty() ? GuestOptions() : GuestOptions(std::move(options));
}

std::string ToJson(const GuestOptions& options) {
  Json json = {{"version", 1}, {"known", options.known()}};
  json["options"] = options.options();
  return oci::Dump(json, -1);
}

absl::StatusOr<GuestOptions> OptionsFromJson(absl::string_view text) {
  const auto json = oci::ParseJson(text);
  if (!json || !json->is_object()) return oci::Bad("it", "is no JSON object");
  int version = 0;
  bool known = false;
  RETURN_IF_ERROR(oci::ReadInteger<int>(*json, "", "version", version));
  RETURN_IF_ERROR(oci::ReadBool(*json, "", "known", known));
  if (version != 1) return oci::Bad("version", "is not 1");
  if (!known) return GuestOptions();
  const Json* list = oci::Member(*json, "options");
  if (list == nullptr || !list->is_array() || list->size() > kMaxOptions) {
    return oci::Bad("options", "is no array of options");
  }
  std::vector<OptionNames> options;
  for (const Json& entry : *list) {
    OptionNames& names = options.emplace_back();
    if (!entry.is_array() || entry.empty() || entry.size() > kMaxNames) {
      return oci::Bad("options", "has what is no array of names");
    }
    for (const Json& name : entry) {
      if (!name.is_string() ||
          !IsOptionName(name.get_ref<const std::string&>())) {
        return oci::Bad("options", "has what is no option's name");
      }
      names.push_back(name.get_ref<const std::string&>());
    }
  }
  return GuestOptions(std::move(options));
}

}  // namespace serai::guest
