// SPDX-License-Identifier: Apache-2.0
// write_seeds DIR SEED...: makes DIR and writes the seeds into it as libFuzzer
// wants them, which knows nothing of *.hex.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/strip.h"
#include "lib/base/file.h"
#include "tests/fuzz/seed.h"

namespace serai {
namespace {

std::string NameOf(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return std::string(absl::StripSuffix(name, ".hex"));
}

absl::Status WriteSeeds(const std::string& directory,
                        const std::vector<std::string>& paths) {
  RETURN_IF_ERROR(MakeDirs(directory, 0755));
  for (const std::string& path : paths) {
    for (const std::string& seed : Seeds(path)) {
      ASSIGN_OR_RETURN(const std::string bytes, ReadSeed(seed));
      RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory, NameOf(seed)), bytes,
                                      0644, Durability::kProcess));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace serai

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: write_seeds DIR SEED...\n");
    return 2;
  }
  const std::vector<std::string> seeds(argv + 2, argv + argc);
  const absl::Status written = serai::WriteSeeds(argv[1], seeds);
  if (written.ok()) return 0;
  std::fprintf(stderr, "%s\n", written.ToString().c_str());
  return 1;
}
