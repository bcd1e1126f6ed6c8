// SPDX-License-Identifier: Apache-2.0
#include "lib/host/pressure.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace serai::host {
namespace {

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
bool ReadStall(const std::vector<std::string>& words, Stall& stall) {
  bool has_total = false;
  for (const std::string& word : words) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    const auto& [key, value] = field;
    bool read = true;
    if (key == "avg10") read = absl::SimpleAtod(value, &stall.avg10);
    if (key == "avg60") read = absl::SimpleAtod(value, &stall.avg60);
    if (key == "avg300") read = absl::SimpleAtod(value, &stall.avg300);
    if (key == "total") {
      has_total = read = absl::SimpleAtoi(value, &stall.total_us);
    }
    if (!read) return false;
  }
  return has_total;
}

}  // namespace

std::optional<Pressure> ReadPressure(const CgroupFiles& files,
                                     const char* file) {
  Pressure pressure;
  bool has_some = false;
  for (const std::vector<std::string>& words : files.Lines(file)) {
    if (words.front() == "some") {
      if (!ReadStall(words, pressure.some)) return std::nullopt;
      has_some = true;
    } else if (words.front() == "full") {
      if (!ReadStall(words, pressure.full)) return std::nullopt;
    }
  }
  if (!has_some) return std::nullopt;
  return pressure;
}

}  // namespace serai::host
