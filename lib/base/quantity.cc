// SPDX-License-Identifier: Apache-2.0
#include "lib/base/quantity.h"

#include <array>
#include <charconv>
#include <limits>

#include "absl/numeric/int128.h"
#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace serai {
namespace {

// A suffix stands for a power of two times a power of ten.
struct Suffix {
  absl::string_view text;
  int power_of_2;
  int power_of_10;
};

constexpr std::array<Suffix, 16> kSuffixes = {{
    {"Ki", 10, 0},
    {"Mi", 20, 0},
    {"Gi", 30, 0},
    {"Ti", 40, 0},
    {"Pi", 50, 0},
    {"Ei", 60, 0},
    {"n", 0, -9},
    {"u", 0, -6},
    {"m", 0, -3},
    {"", 0, 0},
    {"k", 0, 3},
    {"M", 0, 6},
    {"G", 0, 9},
    {"T", 0, 12},
    {"P", 0, 15},
    {"E", 0, 18},
}};

// Longer numbers mean nothing that fits. So many digits are below 2^107.
constexpr size_t kMaxLength = 32;

constexpr int kMilli = 3;

absl::Status Bad(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text.substr(0, kMaxLength),
      "\" is no quantity: a number with an optional suffix such as Mi, G or m "
      "is wanted"));
}

// digits * 2^power_of_2 * 10^power_of_10. Integers throughout: 0.1 is nothing
// that a floating-point number can hold, and rounding it up would show.
struct Value {
  absl::uint128 digits = 0;
  int power_of_2 = 0;
  int power_of_10 = 0;
};

// Takes digits with at most one point from the front of `text`.
bool TakeDigits(absl::string_view& text, Value& value) {
  bool any = false;
  bool behind_point = false;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text[0] == '.' && !behind_point) {
      behind_point = true;
      continue;
    }
    if (!absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) break;
    any = true;
    value.digits = value.digits * 10 + static_cast<unsigned>(text[0] - '0');
    if (behind_point) --value.power_of_10;
  }
  return any;
}

// Takes all of `text` when it is an exponent. "1E" has a suffix, "1E3" has not.
bool TakeExponent(absl::string_view& text, Value& value) {
  absl::string_view digits = text;
  if (!absl::ConsumePrefix(&digits, "e") &&
      !absl::ConsumePrefix(&digits, "E")) {
    return false;
  }
  absl::ConsumePrefix(&digits, "+");
  const char* const end = digits.data() + digits.size();
  int16_t exponent = 0;
  const auto [rest, error] = std::from_chars(digits.data(), end, exponent);
  if (error != std::errc() || rest != end) return false;
  value.power_of_10 += exponent;
  text = "";
  return true;
}

// The value rounded up; more than an int64_t holds when it does not fit.
absl::uint128 RoundedUp(const Value& value) {
  constexpr absl::uint128 kTooLarge = absl::Uint128Max();
  absl::uint128 result = value.digits;
  if (result > kTooLarge >> value.power_of_2) return kTooLarge;
  result <<= value.power_of_2;
  for (int i = 0; i < value.power_of_10 && result != 0; ++i) {
    if (result > kTooLarge / 10) return kTooLarge;
    result *= 10;
  }
  for (int i = value.power_of_10; i < 0 && result > 1; ++i) {
    result = result / 10 + (result % 10 == 0 ? 0 : 1);
  }
  return result;
}

absl::StatusOr<int64_t> Parse(absl::string_view text, int power_of_10) {
  Value value;
  value.power_of_10 = power_of_10;
  absl::string_view rest = text;
  if (text.size() > kMaxLength || !TakeDigits(rest, value)) return Bad(text);
  TakeExponent(rest, value);
  for (const Suffix& suffix : kSuffixes) {
    if (rest != suffix.text) continue;
    value.power_of_2 += suffix.power_of_2;
    value.power_of_10 += suffix.power_of_10;
    const absl::uint128 result = RoundedUp(value);
    if (result > std::numeric_limits<int64_t>::max()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" is too large"));
    }
    return static_cast<int64_t>(result);
  }
  return Bad(text);
}

}  // namespace

absl::StatusOr<int64_t> ParseQuantity(absl::string_view text) {
  return Parse(text, 0);
}

absl::StatusOr<int64_t> ParseMilliQuantity(absl::string_view text) {
  return Parse(text, kMilli);
}

}  // namespace serai
