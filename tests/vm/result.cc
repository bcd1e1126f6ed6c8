// SPDX-License-Identifier: Apache-2.0
#include "tests/vm/result.h"

#include <cctype>
#include <cstdio>
#include <sstream>

namespace serai::testing {

std::string ToWord(std::string_view text) {
  std::string word = "=";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte <= '~' && c != '%') {
      word.push_back(c);
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof(code), "%%%02x", unsigned{byte});
    word.append(code);
  }
  return word;
}

std::string FromWord(std::string_view word) {
  std::string text;
  for (size_t i = 1; i < word.size(); ++i) {
    if (word[i] != '%' || i + 2 >= word.size()) {
      text.push_back(word[i]);
      continue;
    }
    const std::string digits(word.substr(i + 1, 2));
    text.push_back(
        static_cast<char>(std::strtoul(digits.c_str(), nullptr, 16)));
    i += 2;
  }
  return text;
}

std::string ToLine(const CaseResult& result) {
  std::ostringstream line;
  line << "result " << result.index << ' ' << result.status << ' '
       << ToWord(result.wrong) << ' ' << ToWord(result.output) << ' '
       << ToWord(result.report) << '\n';
  return line.str();
}

std::optional<CaseResult> FromLine(const std::string& line) {
  std::istringstream words(line);
  std::string kind;
  std::string wrong;
  std::string output;
  std::string report;
  CaseResult result;
  words >> kind >> result.index >> result.status >> wrong >> output >> report;
  if (!words || kind != "result") return std::nullopt;
  result.wrong = FromWord(wrong);
  result.output = FromWord(output);
  result.report = FromWord(report);
  return result;
}

}  // namespace serai::testing
