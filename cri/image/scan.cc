// SPDX-License-Identifier: Apache-2.0
#include "cri/image/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "lib/base/file.h"
#include "lib/base/unique_fd.h"

namespace serai::cri {
namespace {

constexpr size_t kEnough = 16;

struct Closer {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

bool Full(const ScanResult& result) {
  return result.unikernels.size() + result.refused.size() >= kEnough;
}

void ScanFile(int fd, const std::string& path, ScanResult& result) {
  ++result.file_count;
  solo5::Unikernel unikernel;
  solo5::Error error;
  if (solo5::ReadUnikernel(fd, &unikernel, &error)) {
    result.unikernels.push_back({path, unikernel});
  } else if (error.problem != solo5::Problem::kNotSolo5) {
    result.refused.push_back(absl::StrCat(path, ": ", error.message));
  }
}

// Unpacking bounds the depth (cri/image/tree.cc).
absl::Status ScanDirectory(UniqueFd fd, const std::string& path,
                           ScanResult& result) {
  const std::unique_ptr<DIR, Closer> dir(::fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoStatus(errno, "opendir");
  const int directory_fd = fd.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (Full(result)) break;
    UniqueFd entry(::openat(directory_fd, name.c_str(),
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st = {};
    if (!entry.valid() && errno == ELOOP) continue;
    if (!entry.valid() || ::fstat(entry.get(), &st) != 0) {
      return ErrnoStatus(errno, absl::StrCat("open ", path, "/", name));
    }
    const std::string inner = absl::StrCat(path, "/", name);
    if (S_ISREG(st.st_mode)) {
      ScanFile(entry.get(), inner, result);
    } else if (S_ISDIR(st.st_mode)) {
      RETURN_IF_ERROR(ScanDirectory(std::move(entry), inner, result));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ScanResult> ScanForUnikernels(int root_fd) {
  UniqueFd root(::openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoStatus(errno, "open an image's root");
  ScanResult result;
  RETURN_IF_ERROR(ScanDirectory(std::move(root), "", result));
  return result;
}

}  // namespace serai::cri
