// SPDX-License-Identifier: Apache-2.0
#include "cri/image/adopt.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "lib/base/file.h"

namespace serai::cri {
namespace {

// The unpacker's own bound is lower.
constexpr int kMaxDepth = 160;

absl::Status Strange(absl::string_view name, absl::string_view what) {
  return absl::InternalError(
      absl::StrCat("the unpacker left \"", name, "\", ", what));
}

absl::Status AdoptEntry(int directory_fd, const std::string& name, int depth) {
  struct stat st = {};
  if (::fstatat(directory_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", name));
  }
  const bool is_link = S_ISLNK(st.st_mode);
  const bool is_directory = S_ISDIR(st.st_mode);
  if (!is_link && !is_directory && !S_ISREG(st.st_mode)) {
    return Strange(name, "which is neither a file, a directory nor a link");
  }
  if (!is_link && (st.st_mode & (S_ISUID | S_ISGID)) != 0) {
    return Strange(name, "which has a set-id bit");
  }
  if (depth > kMaxDepth) return Strange(name, "which lies too deep");
  if (::geteuid() == 0 &&
      ::fchownat(directory_fd, name.c_str(), 0, 0, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chown ", name));
  }
  if (!is_directory) return absl::OkStatus();
  const UniqueFd fd(::openat(directory_fd, name.c_str(),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", name));
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDir(absl::StrCat("/proc/self/fd/", fd.get())));
  for (const std::string& inner : names) {
    RETURN_IF_ERROR(AdoptEntry(fd.get(), inner, depth + 1));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AdoptTree(const std::string& directory) {
  return AdoptEntry(AT_FDCWD, directory, 0);
}

}  // namespace serai::cri
