// SPDX-License-Identifier: Apache-2.0
#pragma once

// How things are shown: tables for people, JSON for programs.

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace serai::cli {

// `text` on one line and without control characters. Names and messages come
// from guests, images and registries, and must not drive the terminal.
std::string Printable(absl::string_view text);

// Left-aligned columns, three spaces apart. Cells are made printable; an empty
// one shows as "-".
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  // As many cells as the header has.
  void Add(std::vector<std::string> row);
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Indented; bytes that are not UTF-8 are replaced.
void PrintJson(std::ostream& out, const nlohmann::json& value);

// The first 13 characters of an id.
std::string ShortId(absl::string_view id);
// The same of an image's id, "sha256:…", without the algorithm.
std::string ShortImageId(absl::string_view id);

// "850ms", "12s", "5m", "3h", "9d" since `then` (nanoseconds since the epoch,
// as CRI has it); empty for 0.
std::string Age(int64_t then, int64_t now);
int64_t NowNanoseconds();

// "512 B", "4.0 KiB", "12.3 MiB".
std::string HumanBytes(uint64_t bytes);

}  // namespace serai::cli
