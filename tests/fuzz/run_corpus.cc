// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer's main() in ordinary builds: the fuzz target gets
// each file named, or in a directory named, on the command line, then its
// beginnings, then the file with one byte changed. Always the same inputs. A
// file called *.hex holds its bytes as hexadecimal digits.

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "lib/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace serai {
namespace {

constexpr size_t kMaxSeedBytes = 4 << 20;
// Of a long file, only the beginning is cut and changed.
constexpr size_t kMaxVariedBytes = 2048;

void RunInput(const std::string& input) {
  // A copy on the heap of just this size, for the address sanitizer.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

absl::StatusOr<std::string> ReadSeed(const std::string& path) {
  ASSIGN_OR_RETURN(std::string seed, ReadFile(path, kMaxSeedBytes));
  if (!absl::EndsWith(path, ".hex")) return seed;
  const std::string digits = absl::StrReplaceAll(seed, {{"\n", ""}});
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    const std::string byte = digits.substr(i, 2);
    bytes.push_back(static_cast<char>(std::stoi(byte, nullptr, 16)));
  }
  return bytes;
}

bool RunSeed(const std::string& path) {
  const auto seed = ReadSeed(path);
  if (!seed.ok()) {
    std::fprintf(stderr, "%s\n", seed.status().ToString().c_str());
    return false;
  }
  RunInput(*seed);
  const size_t varied = std::min(seed->size(), kMaxVariedBytes);
  for (size_t i = 0; i < varied; ++i) {
    RunInput(seed->substr(0, i));
    std::string changed = *seed;
    for (const char byte : {'\0', '\x7f', '\xff', '"', '}'}) {
      changed[i] = byte;
      RunInput(changed);
    }
  }
  return true;
}

std::vector<std::string> Seeds(const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return {path};
  std::vector<std::string> seeds;
  const auto names = ListDir(path);
  if (!names.ok()) return {path};
  for (const std::string& name : *names) seeds.push_back(JoinPath(path, name));
  return seeds;
}

}  // namespace
}  // namespace serai

int main(int argc, char** argv) {
  size_t count = 0;
  const std::vector<std::string> paths(argv + 1, argv + argc);
  for (const std::string& path : paths) {
    for (const std::string& seed : serai::Seeds(path)) {
      if (!serai::RunSeed(seed)) return 1;
      ++count;
    }
  }
  if (count == 0) {
    std::fprintf(stderr, "no seed was given\n");
    return 1;
  }
  return 0;
}
