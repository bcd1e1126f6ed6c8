// SPDX-License-Identifier: Apache-2.0
#include "cri/image/disk_usage.h"

#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

namespace serai::cri {
namespace {

constexpr uint64_t kBlock = 512;  // of st_blocks

}  // namespace

absl::StatusOr<DiskUsage> UsageBelow(const std::string& directory) {
  namespace fs = std::filesystem;
  DiskUsage usage;
  std::set<std::pair<dev_t, ino_t>> linked;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, error);
  for (; !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    struct stat st = {};
    if (::lstat(it->path().c_str(), &st) != 0) continue;
    const bool seen = !S_ISDIR(st.st_mode) && st.st_nlink > 1 &&
                      !linked.emplace(st.st_dev, st.st_ino).second;
    if (seen) continue;
    usage += {static_cast<uint64_t>(st.st_blocks) * kBlock, 1};
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), absl::StrCat("reading ", directory));
  }
  return usage;
}

DiskUsage UsageOf(const std::string& path) {
  struct stat st = {};
  if (::lstat(path.c_str(), &st) != 0) return {};
  return {static_cast<uint64_t>(st.st_blocks) * kBlock, 1};
}

}  // namespace serai::cri
