// SPDX-License-Identifier: Apache-2.0
#include "shim/lost_lines.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace serai::shim {

void LostLines::Lose(absl::string_view bytes) {
  bytes = AfterLost(bytes);
  if (bytes.empty()) return;
  auto lines =
      static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
  const size_t newline = bytes.rfind('\n');
  skipped_ = newline == absl::string_view::npos ? bytes.size()
                                                : bytes.size() - newline - 1;
  in_lost_line_ = skipped_ != 0;
  if (in_lost_line_) ++lines;
  total_ += lines;
  unreported_ += lines;
}

absl::string_view LostLines::AfterLost(absl::string_view bytes) {
  if (!in_lost_line_) return bytes;
  const size_t newline = bytes.find('\n');
  if (newline == absl::string_view::npos) {
    skipped_ += bytes.size();
    in_lost_line_ = skipped_ < kMaxSkipped;
    return {};
  }
  in_lost_line_ = false;
  return bytes.substr(newline + 1);
}

std::string LossReport(uint64_t lines, absl::string_view why) {
  return absl::StrCat("serai: ", lines,
                      lines == 1 ? " line was" : " lines were", " lost: ", why,
                      "\n");
}

}  // namespace serai::shim
