// SPDX-License-Identifier: Apache-2.0
#include "lib/host/cgroup_files.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "lib/base/file.h"

namespace serai::host {
namespace {

constexpr size_t kStatMaxBytes = 64 * 1024;

}  // namespace

std::string CgroupFiles::Text(const char* file) const {
  if (dir_.empty()) return "";
  absl::StatusOr<std::string> text =
      ReadFile(JoinPath(dir_, file), kStatMaxBytes);
  return text.ok() ? *std::move(text) : std::string();
}

bool CgroupFiles::Has(const char* file) const {
  return !dir_.empty() && PathExists(JoinPath(dir_, file));
}

uint64_t CgroupFiles::Number(const char* file) const {
  return MaybeNumber(file).value_or(0);
}

std::optional<uint64_t> CgroupFiles::MaybeNumber(const char* file) const {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(Text(file)), &number)) {
    return std::nullopt;
  }
  return number;
}

uint64_t CgroupFiles::Limit(const char* file) const {
  const std::string text = Text(file);
  const absl::string_view word = absl::StripAsciiWhitespace(text);
  uint64_t number = 0;
  if (word == "max") return kNoLimit;
  return absl::SimpleAtoi(word, &number) ? number : 0;
}

CgroupFiles::Table CgroupFiles::ReadTable(const char* file) const {
  Table table;
  const std::string text = Text(file);
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    uint64_t number = 0;
    if (absl::SimpleAtoi(field.second, &number)) table[field.first] = number;
  }
  return table;
}

std::vector<std::vector<std::string>> CgroupFiles::Lines(
    const char* file) const {
  std::vector<std::vector<std::string>> lines;
  const std::string text = Text(file);
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines.push_back(absl::StrSplit(line, ' ', absl::SkipEmpty()));
  }
  return lines;
}

}  // namespace serai::host
