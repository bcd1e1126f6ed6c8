// SPDX-License-Identifier: Apache-2.0
#include "shim/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"

namespace serai::shim {
namespace {

// The kernel's number of /dev/null.
constexpr unsigned kNullMajor = 1;
constexpr unsigned kNullMinor = 3;

bool IsLog(const struct stat& st) {
  return S_ISREG(st.st_mode) ||
         (S_ISCHR(st.st_mode) && st.st_rdev == makedev(kNullMajor, kNullMinor));
}

// O_NONBLOCK: the open of a FIFO must not hang.
absl::StatusOr<UniqueFd> OpenLog(const std::string& path, mode_t mode,
                                 bool& made) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK;
  made = false;
  UniqueFd fd(::open(path.c_str(), kFlags));
  if (!fd.valid() && errno == ENOENT) {
    fd.reset(::open(path.c_str(), kFlags | O_CREAT | O_EXCL, mode));
    made = fd.valid();
  }
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open log ", path));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat log ", path));
  }
  if (!IsLog(st)) {
    return absl::InvalidArgumentError(
        absl::StrCat("log ", path, " is not a regular file"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<LogFile> LogFile::Open(std::string path, mode_t mode) {
  LogFile file(std::move(path), mode);
  ASSIGN_OR_RETURN(file.fd_, OpenLog(file.path_, mode, file.made_));
  return file;
}

absl::Status LogFile::Reopen() {
  bool made = false;
  ASSIGN_OR_RETURN(fd_, OpenLog(path_, mode_, made));
  return absl::OkStatus();
}

absl::Status LogFile::Discard() const {
  return made_ ? RemovePath(path_) : absl::OkStatus();
}

int LogFile::Append(absl::string_view text, size_t& written) {
  written = 0;
  while (written < text.size()) {
    const ssize_t n =
        ::write(fd_.get(), text.data() + written, text.size() - written);
    if (n >= 0) {
      written += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    const int error = errno;
    // The line that did not fit is taken out again.
    const size_t newline = text.substr(0, written).rfind('\n');
    const size_t whole =
        written == 0 || newline == absl::string_view::npos ? 0 : newline + 1;
    struct stat st = {};
    if (whole != written && ::fstat(fd_.get(), &st) == 0) {
      const off_t size = st.st_size - static_cast<off_t>(written - whole);
      // If that fails too, there is a cut line: nothing is left to try.
      if (::ftruncate(fd_.get(), size) != 0) errno = error;
    }
    written = whole;
    return error;
  }
  return 0;
}

}  // namespace serai::shim
