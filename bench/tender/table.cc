// SPDX-License-Identifier: Apache-2.0
#include "bench/tender/table.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace serai::bench {
namespace {

double Percentile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(fraction * last + 0.5)];
}

// Three digits that count.
std::string Text(double value) {
  char text[32];
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return text;
}

}  // namespace

void Table::Add(const Measure& measure, const Contestant& contestant,
                double value) {
  const auto is_same = [&](const Row& row) {
    return row.measure.name == measure.name &&
           row.contestant.target == contestant.target &&
           row.contestant.name == contestant.name;
  };
  auto row = std::find_if(rows_.begin(), rows_.end(), is_same);
  if (row == rows_.end()) {
    row = rows_.insert(rows_.end(), Row{measure, contestant, {}});
  }
  row->values.push_back(value);
}

const Table::Row* Table::ReferenceOf(const Row& row) const {
  const auto found =
      std::find_if(rows_.begin(), rows_.end(), [&](const Row& other) {
        return other.contestant.reference &&
               other.measure.name == row.measure.name &&
               other.contestant.target == row.contestant.target;
      });
  return found == rows_.end() || &*found == &row ? nullptr : &*found;
}

void Table::Print() const {
  std::vector<std::string_view> printed;
  for (const Row& first : rows_) {
    const std::string_view name = first.measure.name;
    if (std::count(printed.begin(), printed.end(), name) != 0) continue;
    printed.push_back(name);
    std::printf(
        "| %s, %s (%s is better) | p50 | p10–p90 | ratio "
        "|\n|---|---|---|---|\n",
        first.measure.name.c_str(), first.measure.unit.c_str(),
        first.measure.better == Better::kLower ? "less" : "more");
    for (const Row& row : rows_) {
      if (row.measure.name != name) continue;
      const double median = Percentile(row.values, 0.5);
      const Row* const reference = ReferenceOf(row);
      std::printf(
          "| %s %s | %s | %s–%s | %s |\n", row.contestant.target.c_str(),
          row.contestant.name.c_str(), Text(median).c_str(),
          Text(Percentile(row.values, 0.1)).c_str(),
          Text(Percentile(row.values, 0.9)).c_str(),
          reference == nullptr
              ? ""
              : Text(median / Percentile(reference->values, 0.5)).c_str());
    }
    std::printf("\n");
  }
}

}  // namespace serai::bench
