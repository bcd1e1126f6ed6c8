// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/empty_dir.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include "lib/base/quantity.h"
#include "lib/base/unique_fd.h"

namespace serai::guest {
namespace {

constexpr int64_t kSector = 512;
// Of a file system in memory, for its own.
constexpr int64_t kOwn = 64 << 10;

// kubelet mounts one for `medium: Memory`; that its own directory may be in
// memory says nothing.
std::optional<int64_t> SizeInMemory(int dir_fd) {
  struct stat here = {};
  struct stat above = {};
  struct statfs fs = {};
  if (::fstat(dir_fd, &here) != 0 ||
      ::fstatat(dir_fd, "..", &above, AT_SYMLINK_NOFOLLOW) != 0 ||
      here.st_dev == above.st_dev || ::fstatfs(dir_fd, &fs) != 0 ||
      fs.f_type != TMPFS_MAGIC || fs.f_blocks == 0) {
    return std::nullopt;
  }
  const uint64_t most = std::numeric_limits<int64_t>::max();
  const uint64_t block = static_cast<uint64_t>(fs.f_bsize);
  if (fs.f_blocks > most / block) return std::nullopt;
  const auto size = static_cast<int64_t>(fs.f_blocks * block);
  return size > 2 * kOwn ? size - kOwn : size / 2;
}

absl::Status Fill(int dir_fd, const std::string& temporary,
                  const std::string& name, int64_t size) {
  const UniqueFd file(
      ::openat(dir_fd, temporary.c_str(),
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("making ", name));
  if (::ftruncate(file.get(), size) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("making ", name, " of ", size, " bytes"));
  }
  if (::linkat(dir_fd, temporary.c_str(), dir_fd, name.c_str(), 0) != 0) {
    return ErrnoStatus(errno, absl::StrCat("making ", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> EmptyDirSize(
    int dir_fd, const std::string& device,
    const std::map<std::string, std::string>& pod_annotations,
    int64_t default_size) {
  int64_t size = 0;
  const std::string key = absl::StrCat(kPodAnnotationSize, device);
  const auto annotation = pod_annotations.find(key);
  if (annotation != pod_annotations.end()) {
    const auto read = ParseQuantity(annotation->second);
    if (!read.ok() || *read <= 0 ||
        *read > std::numeric_limits<int64_t>::max() - kSector) {
      return absl::InvalidArgumentError(
          absl::StrCat("annotation ", key, ": \"", annotation->second,
                       "\" is no size such as \"1Gi\""));
    }
    size = *read;
  } else {
    size = SizeInMemory(dir_fd).value_or(default_size);
  }
  return std::max(kSector, (size + kSector - 1) / kSector * kSector);
}

absl::Status MakeEmptyDirImage(int dir_fd, const std::string& name,
                               int64_t size) {
  struct stat st = {};
  if (::fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
    return absl::OkStatus();
  }
  if (errno != ENOENT) return ErrnoStatus(errno, absl::StrCat("stat ", name));
  // What a crash has left.
  const std::string temporary = absl::StrCat(".", name, ".new");
  if (::unlinkat(dir_fd, temporary.c_str(), 0) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("removing ", temporary));
  }
  const absl::Status made = Fill(dir_fd, temporary, name, size);
  ::unlinkat(dir_fd, temporary.c_str(), 0);
  // Another was first.
  return absl::IsAlreadyExists(made) ? absl::OkStatus() : made;
}

}  // namespace serai::guest
