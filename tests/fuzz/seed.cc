// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/seed.h"

#include <sys/stat.h>

#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "lib/base/file.h"

namespace serai {
namespace {

constexpr size_t kMaxSeedBytes = 4 << 20;

}  // namespace

std::vector<std::string> Seeds(const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return {path};
  std::vector<std::string> seeds;
  const auto names = ListDir(path);
  if (!names.ok()) return {path};
  for (const std::string& name : *names) seeds.push_back(JoinPath(path, name));
  return seeds;
}

absl::StatusOr<std::string> ReadSeed(const std::string& path) {
  ASSIGN_OR_RETURN(std::string seed, ReadFile(path, kMaxSeedBytes));
  if (!absl::EndsWith(path, ".hex")) return seed;
  const std::string digits = absl::StrReplaceAll(seed, {{"\n", ""}});
  const bool whole =
      digits.size() % 2 == 0 &&
      digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!whole) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not made of pairs of hexadecimal digits"));
  }
  seed.clear();
  for (size_t i = 0; i < digits.size(); i += 2) {
    uint32_t byte = 0;
    if (absl::SimpleHexAtoi(digits.substr(i, 2), &byte)) {
      seed.push_back(static_cast<char>(byte));
    }
  }
  return seed;
}

}  // namespace serai
