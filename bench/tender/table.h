// SPDX-License-Identifier: Apache-2.0
#pragma once

// What was measured, of whom, and how it compares.

#include <string>
#include <vector>

#include "bench/tender/contestant.h"

namespace serai::bench {

enum class Better { kLower, kHigher };

struct Measure {
  std::string name;
  std::string unit;
  Better better = Better::kLower;
};

class Table {
 public:
  void Add(const Measure& measure, const Contestant& contestant, double value);
  // A Markdown table: for each row median, 10th and 90th percentile, and the
  // ratio of its median to that of the target's reference.
  void Print() const;

 private:
  struct Row {
    Measure measure;
    Contestant contestant;
    std::vector<double> values;
  };
  const Row* ReferenceOf(const Row& row) const;

  std::vector<Row> rows_;
};

}  // namespace serai::bench
