// SPDX-License-Identifier: Apache-2.0
#include "lib/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

namespace serai {
namespace {

constexpr size_t kReadChunk = 16 * 1024;

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using UniqueDir = std::unique_ptr<DIR, DirCloser>;

absl::StatusOr<std::vector<std::string>> NamesIn(DIR* dir) {
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr) break;
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrnoStatus(errno, "readdir");
  return names;
}

// How deep a removal goes at once: each level takes a descriptor and some
// stack, and who made the tree may have made it deep on purpose.
constexpr int kMaxDepth = 100;

// A directory that is being emptied.
struct Emptied {
  int fd;
  dev_t dev;      // what is mounted below is on another, and stays
  int moved = 0;  // directories that were too deep, and are now in `fd`
};

// Moves a directory to the top, under a name that is free there.
absl::Status MoveToTop(int dir_fd, const std::string& name, Emptied& top) {
  for (;;) {
    const std::string place = absl::StrCat(".too-deep.", top.moved++);
    if (::renameat(dir_fd, name.c_str(), top.fd, place.c_str()) == 0) {
      return absl::OkStatus();
    }
    if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
      return ErrnoStatus(errno, absl::StrCat("rename ", name));
    }
  }
}

absl::Status RemoveAt(int dir_fd, const std::string& name, int depth,
                      Emptied& top);

// Removes what is in the directory `fd`.
absl::Status RemoveAllIn(UniqueFd fd, int depth, Emptied& top) {
  UniqueDir dir(::fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoStatus(errno, "opendir");
  const int dir_fd = fd.release();
  // Names first: entries must not be removed under a running readdir.
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(dir.get()));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveAt(dir_fd, name, depth, top));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenDirectoryAt(int dir_fd, const std::string& name) {
  UniqueFd fd(::openat(dir_fd, name.c_str(),
                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", name));
  return fd;
}

// Removes what `name` in `dir_fd` is, or moves it to the top.
absl::Status RemoveAt(int dir_fd, const std::string& name, int depth,
                      Emptied& top) {
  if (::unlinkat(dir_fd, name.c_str(), 0) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  if (errno != EISDIR && errno != EPERM) {
    return ErrnoStatus(errno, absl::StrCat("unlink ", name));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectoryAt(dir_fd, name));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) {
    return ErrnoStatus(errno, absl::StrCat("stat ", name));
  }
  if (st.st_dev != top.dev) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": something is mounted there"));
  }
  if (depth == kMaxDepth) return MoveToTop(dir_fd, name, top);
  RETURN_IF_ERROR(RemoveAllIn(std::move(fd), depth + 1, top));
  if (::unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("rmdir ", name));
  }
  return absl::OkStatus();
}

// Each round leaves what was deeper than the last one went.
absl::Status RemoveDirectory(const std::string& path, dev_t dev) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectoryAt(AT_FDCWD, path));
  Emptied top{fd.get(), dev};
  int moved = 0;
  do {
    moved = top.moved;
    ASSIGN_OR_RETURN(UniqueFd again, OpenDirectoryAt(fd.get(), "."));
    RETURN_IF_ERROR(RemoveAllIn(std::move(again), 1, top));
  } while (top.moved != moved);
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "rmdir");
  }
  return absl::OkStatus();
}

absl::Status WriteWhole(int fd, absl::string_view data, mode_t mode,
                        Durability durability, const std::string& path) {
  RETURN_IF_ERROR(WriteAll(fd, data), "write ", path);
  if (::fchmod(fd, mode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  }
  if (durability == Durability::kMachine && ::fsync(fd) != 0) {
    return ErrnoStatus(errno, absl::StrCat("fsync ", path));
  }
  return absl::OkStatus();
}

// A rename is on the disk when its directory is.
absl::Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string directory =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("fsync ", directory));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags,
                                  mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  return fd;
}

absl::StatusOr<std::string> ReadAll(int fd, size_t max_bytes) {
  std::string data;
  std::array<char, kReadChunk> chunk;
  for (;;) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n == 0) return data;
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "read");
    }
    if (data.size() + static_cast<size_t>(n) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("longer than ", max_bytes, " bytes"));
    }
    data.append(chunk.data(), static_cast<size_t>(n));
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     size_t max_bytes) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  ASSIGN_OR_RETURN(std::string data, ReadAll(fd.get(), max_bytes), "reading ",
                   path);
  return data;
}

absl::Status WriteAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "write");
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomic(const std::string& path, absl::string_view data,
                             mode_t mode, Durability durability) {
  std::string temporary = path + ".tmp.XXXXXX";
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("create ", path));
  absl::Status status = WriteWhole(fd.get(), data, mode, durability, path);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("rename to ", path));
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return durability == Durability::kMachine ? SyncDirectoryOf(path) : status;
}

absl::Status WriteControlFile(const std::string& path, absl::string_view data) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_WRONLY));
  const ssize_t n = ::write(fd.get(), data.data(), data.size());
  if (n < 0 || static_cast<size_t>(n) != data.size()) {
    return ErrnoStatus(n < 0 ? errno : EIO,
                       absl::StrCat("write \"", data, "\" to ", path));
  }
  return absl::OkStatus();
}

absl::Status MakeDirs(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    struct stat st = {};
    if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      return absl::OkStatus();
    }
    return ErrnoStatus(ENOTDIR, absl::StrCat("mkdir ", path));
  }
  const size_t slash = path.find_last_of('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0) {
    return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
  }
  RETURN_IF_ERROR(MakeDirs(path.substr(0, slash), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
  }
  return absl::OkStatus();
}

absl::Status RemovePath(const std::string& path) {
  if (::remove(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("remove ", path));
  }
  return absl::OkStatus();
}

absl::Status RemoveTree(const std::string& path) {
  struct stat st = {};
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISDIR(st.st_mode)) return RemovePath(path);
  return Annotate(RemoveDirectory(path, st.st_dev),
                  absl::StrCat("remove ", path));
}

absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) {
  UniqueDir dir(::opendir(path.c_str()));
  if (dir == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("opendir ", path));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(dir.get()), path);
  std::sort(names.begin(), names.end());
  return names;
}

bool PathExists(const std::string& path) {
  struct stat st = {};
  return ::lstat(path.c_str(), &st) == 0;
}

std::string JoinPath(absl::string_view dir, absl::string_view name) {
  while (!dir.empty() && dir.back() == '/') dir.remove_suffix(1);
  while (!name.empty() && name.front() == '/') name.remove_prefix(1);
  return absl::StrCat(dir, "/", name);
}

}  // namespace serai
