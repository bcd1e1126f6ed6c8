// SPDX-License-Identifier: Apache-2.0
#include "lib/base/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/file.h"

namespace serai {
namespace {

constexpr int kTries = 100;

}  // namespace

int OpenAt2(int dir_fd, const std::string& path, int flags, uint64_t resolve,
            UniqueFd& fd) {
  struct open_how how = {};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = resolve;
  for (int attempt = 1;;) {
    const long opened =
        ::syscall(SYS_openat2, dir_fd, path.c_str(), &how, sizeof(how));
    if (opened >= 0) {
      fd.reset(static_cast<int>(opened));
      return 0;
    }
    // EAGAIN: something was renamed meanwhile, and the kernel cannot tell
    // whether that led out.
    if (errno == EINTR || (errno == EAGAIN && attempt++ < kTries)) continue;
    return errno;
  }
}

absl::StatusOr<UniqueFd> OpenBeneath(int dir_fd, const std::string& path,
                                     int flags) {
  UniqueFd fd;
  const int error =
      OpenAt2(dir_fd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, fd);
  if (error == 0) return fd;
  if (error == EAGAIN) {
    return absl::AbortedError(absl::StrCat(
        "open ", path, ": directories are renamed again and again"));
  }
  if (error == EXDEV) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " leads out of its directory"));
  }
  return ErrnoStatus(error, absl::StrCat("open ", path));
}

absl::StatusOr<UniqueFd> OpenRegularBeneath(int dir_fd, const std::string& path,
                                            int flags) {
  ASSIGN_OR_RETURN(const UniqueFd place, OpenBeneath(dir_fd, path, O_PATH));
  struct stat st = {};
  if (::fstat(place.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a regular file"));
  }
  ASSIGN_OR_RETURN(UniqueFd fd,
                   OpenFile(absl::StrCat("/proc/self/fd/", place.get()), flags),
                   path);
  return fd;
}

}  // namespace serai
