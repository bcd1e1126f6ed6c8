// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/evil/evil.h"

#include <optional>

namespace serai::guest {
namespace {

std::optional<uint64_t> ParseHex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const std::string_view digits = "0123456789abcdef";
    const size_t digit = digits.find(c);
    if (digit == digits.npos) return std::nullopt;
    value = value << 4 | digit;
  }
  return value;
}

}  // namespace

uint64_t AddressOption(const Options& options, std::string_view name) {
  std::string_view text = options.Value(name).value_or("");
  std::optional<uint64_t> value;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    value = ParseHex(text);
  } else {
    value = ParseNumber(text, UINT64_MAX);
  }
  if (!value.has_value()) options.Reject(name, "an address like 0x100000");
  return *value;
}

}  // namespace serai::guest
