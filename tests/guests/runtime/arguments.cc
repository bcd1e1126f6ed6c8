// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/runtime/arguments.h"

#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {
namespace {

constexpr size_t kMaxWords = 512;
constexpr size_t kMaxCommandLine = 8192;

char word_text[kMaxCommandLine];
std::string_view words[kMaxWords];

// Decodes the first word of `rest` to `out`; takes both further.
std::string_view TakeWord(std::string_view& rest, char*& out) {
  char* const begin = out;
  bool quoted = false;
  while (!rest.empty()) {
    char c = rest.front();
    if (c == ' ' && !quoted) break;
    rest.remove_prefix(1);
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    if (c == '\\' && !rest.empty()) {
      c = rest.front();
      rest.remove_prefix(1);
    }
    *out++ = c;
  }
  return {begin, static_cast<size_t>(out - begin)};
}

// The part of a word before '=', without dashes.
std::string_view OptionName(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals != word.npos) word.remove_suffix(word.size() - equals);
  if (!word.starts_with("--")) return {};
  word.remove_prefix(2);
  return word;
}

// As MirageOS' unikernels answer --help=plain: cmdliner's manual page.
void PrintHelp(std::string_view program, std::span<const OptionSpec> specs) {
  Print("NAME\n       ", program, "\n\nSYNOPSIS\n       ", program,
        " [OPTION]...\n\nOPTIONS\n       --help[=FMT] (default=plain)\n"
        "           Show this help.");
  for (const OptionSpec& spec : specs) {
    Print("\n       --", spec.name, "=VALUE\n           ", spec.help);
  }
}

}  // namespace

std::span<const std::string_view> SplitCommandLine() {
  std::string_view rest = CommandLine();
  char* out = word_text;
  size_t count = 0;
  bool leading = true;
  while (true) {
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (rest.empty()) break;
    if (count == kMaxWords) {
      Print("more than ", kMaxWords, " arguments");
      Exit(kExitUsage);
    }
    const std::string_view word = TakeWord(rest, out);
    leading = leading && word.starts_with("--solo5:");
    if (!leading) words[count++] = word;
  }
  return {words, count};
}

Options::Options(std::string_view program, std::span<const OptionSpec> specs)
    : program_(program), words_(SplitCommandLine()) {
  for (const std::string_view word : words_) {
    const std::string_view name = OptionName(word);
    if (name == "help") {
      PrintHelp(program_, specs);
      Exit(kExitHelp);
    }
    bool known = false;
    for (const OptionSpec& spec : specs) {
      known = known || (!name.empty() && spec.name == name);
    }
    if (!known) {
      Print(program_, ": unknown argument '", word, "'; --help lists them");
      Exit(kExitUsage);
    }
  }
}

std::optional<std::string_view> Options::Value(std::string_view name) const {
  std::optional<std::string_view> result;
  for (std::string_view word : words_) {
    if (OptionName(word) != name) continue;
    const size_t prefix = name.size() + 2;
    word.remove_prefix(prefix);
    if (word.starts_with('=')) word.remove_prefix(1);
    result = word;
  }
  return result;
}

bool Options::Flag(std::string_view name) const {
  const std::optional<std::string_view> value = Value(name);
  if (!value.has_value() || *value == "false") return false;
  if (value->empty() || *value == "true") return true;
  Reject(name, "true or false");
}

uint64_t Options::Number(std::string_view name, uint64_t otherwise,
                         uint64_t max) const {
  const std::optional<std::string_view> value = Value(name);
  if (!value.has_value()) return otherwise;
  const std::optional<uint64_t> number = ParseNumber(*value, max);
  if (!number.has_value()) {
    char text[64];
    Writer expected(text, sizeof(text));
    expected.Append("a number from 0 to ");
    expected.Append(max);
    Reject(name, expected.text());
  }
  return *number;
}

void Options::Reject(std::string_view name, std::string_view expected) const {
  Print(program_, ": --", name, " needs ", expected, ", not '",
        Value(name).value_or(""), "'");
  Exit(kExitUsage);
}

std::optional<uint64_t> ParseNumber(std::string_view text, uint64_t max) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (max - digit) / 10 || digit > max) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

}  // namespace serai::guest
