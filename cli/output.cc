// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace serai::cli {

std::string Printable(absl::string_view text) {
  std::string result(text);
  bool after_c2 = false;
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    // C1 controls are two bytes in UTF-8, of which the first is harmless.
    const bool c1 = after_c2 && byte >= 0x80 && byte < 0xa0;
    after_c2 = byte == 0xc2;
    if (c1 || absl::ascii_iscntrl(byte)) c = c1 ? '?' : ' ';
  }
  absl::StripAsciiWhitespace(&result);
  return result;
}

Table::Table(std::vector<std::string> header) { Add(std::move(header)); }

void Table::Add(std::vector<std::string> row) {
  for (std::string& cell : row) {
    cell = Printable(cell);
    if (cell.empty()) cell = "-";
  }
  rows_.push_back(std::move(row));
}

void Table::Print(std::ostream& out) const {
  constexpr size_t kGap = 3;
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) {
        line.append(widths[i] - row[i].size() + kGap, ' ');
      }
    }
    out << line << '\n';
  }
}

void PrintJson(std::ostream& out, const nlohmann::json& value) {
  out << value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
      << '\n';
}

std::string ShortId(absl::string_view id) {
  constexpr size_t kLength = 13;
  return std::string(id.substr(0, kLength));
}

std::string ShortImageId(absl::string_view id) {
  absl::ConsumePrefix(&id, "sha256:");
  return ShortId(id);
}

std::string Age(int64_t then, int64_t now) {
  if (then == 0) return "";
  const int64_t ms = std::max<int64_t>(0, now - then) / 1'000'000;
  const int64_t s = ms / 1000;
  if (s < 1) return absl::StrCat(ms, "ms");
  if (s < 120) return absl::StrCat(s, "s");
  if (s < 120 * 60) return absl::StrCat(s / 60, "m");
  if (s < 48 * 3600) return absl::StrCat(s / 3600, "h");
  return absl::StrCat(s / 86400, "d");
}

int64_t NowNanoseconds() { return absl::ToUnixNanos(absl::Now()); }

std::string HumanBytes(uint64_t bytes) {
  constexpr std::array<const char*, 4> kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

}  // namespace serai::cli
