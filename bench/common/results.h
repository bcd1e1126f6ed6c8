// SPDX-License-Identifier: Apache-2.0
#pragma once

// What was measured of contestants that take turns, as a Markdown table.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace serai::bench {

class Results {
 public:
  // `upper`: the percentile that is printed beside the median.
  explicit Results(int upper = 90) : upper_(upper) {}

  void Add(const std::string& row, const std::string& contestant, double value);
  // Runs `step`, and adds its milliseconds when it succeeds.
  absl::Status Timed(const std::string& row, const std::string& contestant,
                     const std::function<absl::Status()>& step);

  // A row for each that was added, in that order: the median, the upper
  // percentile, and the median's ratio to that of the last contestant.
  void Print(const std::vector<std::string>& contestants) const;

 private:
  using Row = std::map<std::string, std::vector<double>>;

  void PrintRow(const Row& row,
                const std::vector<std::string>& contestants) const;

  const int upper_;
  std::vector<std::string> order_;
  std::map<std::string, Row> rows_;
};

}  // namespace serai::bench
