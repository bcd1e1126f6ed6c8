// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "lib/base/file.h"
#include "lib/base/unique_fd.h"

namespace serai::guest {
namespace {

constexpr size_t kEnough = 16;
// Of a walk: what an image's author can make us do.
constexpr size_t kMaxEntries = 100'000;
constexpr int kMaxDepth = 100;

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

class Scan {
 public:
  absl::Status Directory(UniqueFd fd, const std::string& path, int depth) {
    if (depth > kMaxDepth) return TooMuch("nested too deep");
    ASSIGN_OR_RETURN(const Dir dir, Open(std::move(fd)));
    ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(dir.get()));
    for (const std::string& name : names) {
      if (Full(result_)) break;
      RETURN_IF_ERROR(Entry(::dirfd(dir.get()), name,
                            absl::StrCat(path, "/", name), depth));
    }
    return absl::OkStatus();
  }

  ScanResult TakeResult() { return std::move(result_); }

 private:
  using Dir = std::unique_ptr<DIR, Closer>;

  static absl::StatusOr<Dir> Open(UniqueFd fd) {
    Dir dir(::fdopendir(fd.get()));
    if (dir == nullptr) return ErrnoStatus(errno, "opendir");
    fd.release();
    return dir;
  }

  static absl::Status TooMuch(absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("looking for a unikernel in the image: its files are ",
                     what, "; an annotation must name it"));
  }

  absl::StatusOr<std::vector<std::string>> Names(DIR* dir) {
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir)) {
      const absl::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++entries_ > kMaxEntries) return TooMuch("too many");
      names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  // Nothing but a file or a directory is opened: to open a device can do
  // something.
  absl::Status Entry(int directory, const std::string& name,
                     const std::string& path, int depth) {
    struct stat st = {};
    if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoStatus(errno, absl::StrCat("stat ", path));
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return absl::OkStatus();
    UniqueFd entry(::openat(directory, name.c_str(),
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!entry.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
    if (S_ISDIR(st.st_mode)) {
      return Directory(std::move(entry), path, depth + 1);
    }
    ScanFile(entry.get(), path, result_);
    return absl::OkStatus();
  }

  size_t entries_ = 0;
  ScanResult result_;
};

}  // namespace

absl::StatusOr<ScanResult> ScanForUnikernels(int root_fd) {
  UniqueFd root(::openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoStatus(errno, "open an image's root");
  Scan scan;
  RETURN_IF_ERROR(scan.Directory(std::move(root), "", 0));
  return scan.TakeResult();
}

}  // namespace serai::guest
