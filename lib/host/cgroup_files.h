// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads the files that a cgroup's directory has: numbers, tables of numbers.
// The kernel wrote them; what is not there, or is no number, reads as nothing,
// since kernels and controllers differ in what they have. Any thread.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace serai::host {

class CgroupFiles {
 public:
  // An empty directory name has no files.
  explicit CgroupFiles(std::string dir) : dir_(std::move(dir)) {}

  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

  // Whether the file is there.
  bool Has(const char* file) const;

  // A file of one number; 0 when it is not.
  uint64_t Number(const char* file) const;
  std::optional<uint64_t> MaybeNumber(const char* file) const;

  // The same with kNoLimit for "max".
  uint64_t Limit(const char* file) const;

  // A file of "key number" lines.
  using Table = std::map<std::string, uint64_t, std::less<>>;
  Table ReadTable(const char* file) const;

  // A file of lines of words.
  std::vector<std::vector<std::string>> Lines(const char* file) const;

 private:
  std::string Text(const char* file) const;

  std::string dir_;
};

}  // namespace serai::host
