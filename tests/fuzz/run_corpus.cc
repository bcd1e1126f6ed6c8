// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer's main() in ordinary builds: the fuzz target gets
// each seed named, or in a directory named, on the command line, then its
// beginnings, then the seed with one byte changed. Always the same inputs.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/fuzz/seed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace serai {
namespace {

// Of a long seed, only the beginning is cut and changed.
constexpr size_t kMaxVariedBytes = 2048;

void RunInput(const std::string& input) {
  // A copy on the heap of just this size, for the address sanitizer.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
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
