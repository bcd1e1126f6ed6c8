// SPDX-License-Identifier: Apache-2.0
#include "bench/common/proc.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"

namespace serai::bench {

double ProcField(const std::string& path, absl::string_view field) {
  const std::string text = ReadFile(path, 1 << 20).value_or("");
  double sum = -1;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, field)) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    double value = 0;
    if (words.size() > 1 && absl::SimpleAtod(words[1], &value)) {
      sum = std::max(sum, 0.0) + value;
    }
  }
  return sum;
}

}  // namespace serai::bench
