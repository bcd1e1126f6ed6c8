// SPDX-License-Identifier: Apache-2.0
#include "bench/common/results.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace serai::bench {
namespace {

double Percentile(std::vector<double> values, int percent) {
  std::sort(values.begin(), values.end());
  const double last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(last * percent / 100 + 0.5)];
}

}  // namespace

void Results::Add(const std::string& row, const std::string& contestant,
                  double value) {
  if (rows_.count(row) == 0) order_.push_back(row);
  rows_[row][contestant].push_back(value);
}

absl::Status Results::Timed(const std::string& row,
                            const std::string& contestant,
                            const std::function<absl::Status()>& step) {
  const absl::Time start = absl::Now();
  RETURN_IF_ERROR(step(), row, " of ", contestant);
  Add(row, contestant, absl::ToDoubleMilliseconds(absl::Now() - start));
  return absl::OkStatus();
}

void Results::Print(const std::vector<std::string>& contestants) const {
  std::string heading = absl::StrCat("| median (p", upper_, "), ratio |");
  std::string line = "|---|";
  for (const std::string& contestant : contestants) {
    absl::StrAppend(&heading, " ", contestant, " |");
    line += "---|";
  }
  std::printf("%s\n%s\n", heading.c_str(), line.c_str());
  for (const std::string& name : order_) {
    std::printf("| %s |", name.c_str());
    PrintRow(rows_.at(name), contestants);
  }
}

void Results::PrintRow(const Row& row,
                       const std::vector<std::string>& contestants) const {
  const auto reference = row.find(contestants.back());
  for (const std::string& contestant : contestants) {
    const auto found = row.find(contestant);
    if (found == row.end()) {
      std::printf(" |");
      continue;
    }
    const double median = Percentile(found->second, 50);
    std::printf(" %.1f (%.1f)", median, Percentile(found->second, upper_));
    if (reference != row.end() && found != reference) {
      std::printf(", %.2f×", median / Percentile(reference->second, 50));
    }
    std::printf(" |");
  }
  std::printf("\n");
}

}  // namespace serai::bench
