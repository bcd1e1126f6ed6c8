// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/disk_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "absl/strings/string_view.h"
#include "lib/base/beneath.h"
#include "lib/solo5/abi.h"

namespace serai::guest {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

bool IsRegularFile(int dir_fd, const std::string& name) {
  struct stat st = {};
  return ::fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG(st.st_mode);
}

// The only entry's name; empty where there is none, INVALID_ARGUMENT for two.
// There may be millions: it does not look further.
absl::StatusOr<std::string> OnlyEntry(int dir_fd) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenBeneath(dir_fd, ".", O_RDONLY));
  const std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoStatus(errno, "opendir");
  fd.release();
  std::string only;
  errno = 0;
  while (const dirent* const entry = ::readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    if (name == "." || name == ".." || name == "lost+found") continue;
    if (!only.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "has several files, \"", only, "\" and \"", name, "\" among them"));
    }
    only = std::string(name);
    errno = 0;
  }
  if (errno != 0) return ErrnoStatus(errno, "readdir");
  return only;
}

}  // namespace

std::string DiskFileName(const std::string& device) {
  return absl::StrCat(device, ".img");
}

absl::StatusOr<std::string> FindDiskFile(int dir_fd,
                                         const std::string& device) {
  const std::string usual = DiskFileName(device);
  struct stat st = {};
  if (::fstatat(dir_fd, usual.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
    return usual;
  }
  const std::string wanted =
      absl::StrCat("; put the guest's disk there as a raw image called ", usual,
                   ", or as the only file");
  const absl::StatusOr<std::string> only = OnlyEntry(dir_fd);
  if (absl::IsInvalidArgument(only.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat(only.status().message(), wanted));
  }
  RETURN_IF_ERROR(only.status());
  if (only->empty()) {
    return absl::InvalidArgumentError(absl::StrCat("is empty", wanted));
  }
  if (!IsRegularFile(dir_fd, *only)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has \"", *only, "\", which is not a regular file", wanted));
  }
  return *only;
}

absl::Status CheckDiskSize(int64_t bytes) {
  if (bytes > 0 && bytes % solo5::kDefaultBlockSize == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("has ", bytes,
                   " bytes, which is no multiple of the block "
                   "size, ",
                   solo5::kDefaultBlockSize));
}

}  // namespace serai::guest
