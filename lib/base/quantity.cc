// SPDX-License-Identifier: Apache-2.0
#include "lib/base/quantity.h"

#include <array>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace serai {
namespace {

struct Suffix {
  absl::string_view text;
  long double factor;
};

constexpr long double kKi = 1024.0L;
constexpr std::array<Suffix, 15> kSuffixes = {{
    {"Ki", kKi},
    {"Mi", kKi* kKi},
    {"Gi", kKi* kKi* kKi},
    {"Ti", kKi* kKi* kKi* kKi},
    {"Pi", kKi* kKi* kKi* kKi* kKi},
    {"n", 1e-9L},
    {"u", 1e-6L},
    {"m", 1e-3L},
    {"", 1.0L},
    {"k", 1e3L},
    {"M", 1e6L},
    {"G", 1e9L},
    {"T", 1e12L},
    {"P", 1e15L},
    {"E", 1e18L},
}};

// Longer numbers mean nothing that fits.
constexpr size_t kMaxLength = 32;

absl::Status Bad(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text.substr(0, kMaxLength),
      "\" is no quantity: a number with an optional suffix such as Mi, G or m "
      "is wanted"));
}

// The length of the number at the front: digits, a point, an exponent.
size_t NumberLength(absl::string_view text) {
  size_t i = 0;
  while (i < text.size() &&
         (absl::ascii_isdigit(static_cast<unsigned char>(text[i])) ||
          text[i] == '.')) {
    ++i;
  }
  // "1E" is a suffix, "1e3" and "1E3" have an exponent.
  if (i + 1 < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    size_t j = i + 1;
    if (text[j] == '+' || text[j] == '-') ++j;
    size_t digits = 0;
    while (j < text.size() &&
           absl::ascii_isdigit(static_cast<unsigned char>(text[j]))) {
      ++j;
      ++digits;
    }
    if (digits > 0) i = j;
  }
  return i;
}

absl::StatusOr<int64_t> Parse(absl::string_view text, long double scale) {
  const size_t length = NumberLength(text);
  double number = 0;
  if (text.size() > kMaxLength || length == 0 ||
      !absl::SimpleAtod(text.substr(0, length), &number)) {
    return Bad(text);
  }
  for (const Suffix& suffix : kSuffixes) {
    if (text.substr(length) != suffix.text) continue;
    const long double value =
        std::ceil(static_cast<long double>(number) * suffix.factor * scale);
    if (!(value <= 9.2e18L)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" is too large"));
    }
    return static_cast<int64_t>(value);
  }
  return Bad(text);
}

}  // namespace

absl::StatusOr<int64_t> ParseQuantity(absl::string_view text) {
  return Parse(text, 1.0L);
}

absl::StatusOr<int64_t> ParseMilliQuantity(absl::string_view text) {
  return Parse(text, 1000.0L);
}

}  // namespace serai
