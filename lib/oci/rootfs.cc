// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/strip.h"
#include "lib/base/beneath.h"

namespace serai::oci {
namespace {

// Where the kernel says an open descriptor is.
absl::StatusOr<std::string> PathOf(int fd) {
  std::array<char, PATH_MAX> buffer;
  const std::string link = absl::StrCat("/proc/self/fd/", fd);
  const ssize_t n = ::readlink(link.c_str(), buffer.data(), buffer.size());
  if (n < 0) return ErrnoStatus(errno, absl::StrCat("readlink ", link));
  if (static_cast<size_t>(n) == buffer.size()) {
    return ErrnoStatus(ENAMETOOLONG, absl::StrCat("readlink ", link));
  }
  return std::string(buffer.data(), static_cast<size_t>(n));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenInRoot(int root_fd, const std::string& path,
                                    int flags) {
  UniqueFd fd;
  const int error =
      OpenAt2(root_fd, path, flags,
              RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV, fd);
  if (error == 0) return fd;
  const std::string what = absl::StrCat("open ", path, " in the image");
  if (error == EAGAIN) {
    return absl::AbortedError(
        absl::StrCat(what, ": directories are renamed again and again"));
  }
  return ErrnoStatus(error, what);
}

absl::StatusOr<std::string> PathInRoot(int root_fd, int fd) {
  ASSIGN_OR_RETURN(const std::string root, PathOf(root_fd));
  ASSIGN_OR_RETURN(const std::string full, PathOf(fd));
  absl::string_view rest = full;
  if (full == root) return std::string("/");
  if (root == "/") return full;  // the root of a mount that is detached
  if (!absl::ConsumePrefix(&rest, root) || rest.empty() || rest[0] != '/') {
    return absl::FailedPreconditionError(
        absl::StrCat(full, " is not in ", root, " any more"));
  }
  return std::string(rest);
}

absl::StatusOr<RootFile> OpenRegularInRoot(int root_fd,
                                           const std::string& path) {
  // Looked at before it is opened: to open a device can do something.
  ASSIGN_OR_RETURN(const UniqueFd place, OpenInRoot(root_fd, path, O_PATH));
  struct stat st = {};
  if (::fstat(place.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a regular file"));
  }
  RootFile file;
  file.fd.reset(::open(absl::StrCat("/proc/self/fd/", place.get()).c_str(),
                       O_RDONLY | O_CLOEXEC));
  if (!file.fd.valid()) {
    return ErrnoStatus(errno, absl::StrCat("open ", path, " in the image"));
  }
  ASSIGN_OR_RETURN(file.path, PathInRoot(root_fd, file.fd.get()));
  return file;
}

}  // namespace serai::oci
