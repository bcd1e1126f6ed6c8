// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/auth_challenge.h"

#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"

namespace serai::oci {
namespace {

constexpr size_t kMaxLength = 8192;
constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxParams = 32;

bool IsTokenChar(char c) {
  if (absl::ascii_isalnum(static_cast<unsigned char>(c))) return true;
  return c != '\0' && absl::string_view("!#$%&'*+-.^_`|~").find(c) !=
                          absl::string_view::npos;
}

bool IsToken68Char(char c) {
  if (absl::ascii_isalnum(static_cast<unsigned char>(c))) return true;
  return c != '\0' &&
         absl::string_view("-._~+/").find(c) != absl::string_view::npos;
}

class Parser {
 public:
  explicit Parser(absl::string_view text) : rest_(text) {}

  absl::StatusOr<std::vector<AuthChallenge>> Parse() {
    std::vector<AuthChallenge> challenges;
    SkipSpacesAndCommas();
    while (!rest_.empty()) {
      if (challenges.size() == kMaxChallenges) return Bad("many challenges");
      AuthChallenge challenge;
      challenge.scheme = absl::AsciiStrToLower(TakeToken());
      if (challenge.scheme.empty()) return Bad("no scheme");
      if (!rest_.empty() && !AtAny(" \t,")) return Bad("scheme runs on");
      RETURN_IF_ERROR(TakeParams(challenge));
      challenges.push_back(std::move(challenge));
      SkipSpacesAndCommas();
    }
    return challenges;
  }

 private:
  static absl::Status Bad(absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("malformed WWW-Authenticate header: ", what));
  }

  bool AtAny(absl::string_view chars) const {
    return !rest_.empty() && rest_[0] != '\0' &&
           chars.find(rest_[0]) != absl::string_view::npos;
  }
  void Skip(absl::string_view chars) {
    while (AtAny(chars)) rest_.remove_prefix(1);
  }
  void SkipSpacesAndCommas() { Skip(" \t,"); }

  absl::string_view TakeToken() {
    size_t length = 0;
    while (length < rest_.size() && IsTokenChar(rest_[length])) ++length;
    const absl::string_view token = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return token;
  }

  // One opaque word in place of parameters ("Negotiate YII…=").
  bool TakeToken68() {
    size_t length = 0;
    while (length < rest_.size() && IsToken68Char(rest_[length])) ++length;
    if (length == 0) return false;
    while (length < rest_.size() && rest_[length] == '=') ++length;
    const absl::string_view after =
        absl::StripLeadingAsciiWhitespace(rest_.substr(length));
    if (!after.empty() && after[0] != ',') return false;
    rest_.remove_prefix(length);
    return true;
  }

  absl::StatusOr<std::string> TakeValue() {
    if (!AtAny("\"")) {
      const absl::string_view token = TakeToken();
      if (token.empty()) return Bad("a parameter without value");
      return std::string(token);
    }
    rest_.remove_prefix(1);
    std::string value;
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\') rest_.remove_prefix(1);
      if (rest_.empty()) break;
      if (absl::ascii_iscntrl(static_cast<unsigned char>(rest_[0])) &&
          rest_[0] != '\t') {
        return Bad("a control character");
      }
      value += rest_[0];
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) return Bad("a quote is not closed");
    rest_.remove_prefix(1);
    return value;
  }

  // Parameters follow each other by commas, and so do challenges: a word is a
  // parameter's name only when "=" comes after it.
  absl::Status TakeParams(AuthChallenge& challenge) {
    Skip(" \t");
    if (TakeToken68()) return absl::OkStatus();
    for (size_t count = 0;; ++count) {
      const absl::string_view before = rest_;
      SkipSpacesAndCommas();
      const std::string name = absl::AsciiStrToLower(TakeToken());
      Skip(" \t");
      if (name.empty() || !AtAny("=")) {
        rest_ = before;
        return absl::OkStatus();
      }
      if (count == kMaxParams) return Bad("many parameters");
      rest_.remove_prefix(1);
      Skip(" \t");
      ASSIGN_OR_RETURN(std::string value, TakeValue());
      challenge.params.emplace(name, std::move(value));
      Skip(" \t");
    }
  }

  absl::string_view rest_;
};

}  // namespace

absl::StatusOr<std::vector<AuthChallenge>> ParseWwwAuthenticate(
    absl::string_view value) {
  if (value.size() > kMaxLength) {
    return absl::InvalidArgumentError(
        "malformed WWW-Authenticate header: longer than 8 KiB");
  }
  return Parser(value).Parse();
}

}  // namespace serai::oci
