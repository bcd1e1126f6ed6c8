// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the machine says over its serial line, one line each:
//
//   start INDEX                          of a case
//   result INDEX STATUS WRONG OUTPUT REPORT
//   error TEXT                           the machine itself does not work
//   done                                 all cases have been run
//
// Texts are one word: "=" and the bytes, those that don't print, blanks and "%"
// as %XX.

#include <optional>
#include <string>
#include <string_view>

namespace serai::testing {

// Instead of a status: it did not end, and was killed.
inline constexpr int kHangs = -2;

struct CaseResult {
  size_t index = 0;
  // As GuestCase has it.
  int status = kHangs;
  // What only the machine can see; empty where all is well.
  std::string wrong;
  std::string output;  // stdout and stderr; the middle of much is cut out
  std::string report;  // what came on the status descriptor
};

std::string ToLine(const CaseResult& result);

// The result in a line without its newline; nullopt for any other line.
std::optional<CaseResult> FromLine(const std::string& line);

// The word for `text`, and back.
std::string ToWord(std::string_view text);
std::string FromWord(std::string_view word);

}  // namespace serai::testing
