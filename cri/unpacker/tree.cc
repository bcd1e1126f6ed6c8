// SPDX-License-Identifier: Apache-2.0
#include "cri/unpacker/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/oci/rootfs.h"

namespace serai::cri {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Removing a tree goes down it with one descriptor for each level.
constexpr int kMaxDepth = 128;
constexpr mode_t kParentMode = 0755;

absl::Status Bad(absl::string_view path, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("layer entry \"", path.substr(0, 256), "\": ", why));
}

// What the kernel says of a name that a layer has: a full disk is ours, the
// rest is the image's doing.
absl::Status EntryError(int error, absl::string_view path,
                        absl::string_view call) {
  switch (error) {
    case ELOOP:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EXDEV:
    case EINVAL:
    case EEXIST:
    case EISDIR:
    case ENOENT:
    case EMLINK:
      return Bad(path, ErrnoStatus(error, call).message());
    default:
      return ErrnoStatus(error,
                         absl::StrCat("layer entry \"", path, "\": ", call));
  }
}

absl::StatusOr<std::vector<std::string>> Components(absl::string_view path) {
  std::vector<std::string> parts;
  if (path.size() >= PATH_MAX) return Bad(path, "the path is too long");
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return Bad(path, "the path climbs");
    if (part.find('\0') != part.npos) return Bad(path, "a zero in the path");
    if (part.size() > NAME_MAX) return Bad(path, "a name is too long");
    parts.emplace_back(part);
  }
  if (parts.size() > kMaxDepth) return Bad(path, "nested too deep");
  return parts;
}

absl::StatusOr<std::vector<std::string>> NamesIn(int directory_fd) {
  UniqueFd copy(::openat(directory_fd, ".", kDirectoryFlags));
  if (!copy.valid()) return ErrnoStatus(errno, "open a directory");
  struct Closer {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Closer> dir(::fdopendir(copy.get()));
  if (dir == nullptr) return ErrnoStatus(errno, "opendir");
  copy.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

using Inodes = std::unordered_set<ino_t>;

// Removes `name` and all below it, but nothing that `keep` holds and no
// directory above such a thing.
absl::Status RemoveExcept(int directory_fd, const std::string& name,
                          const Inodes& keep) {
  struct stat st = {};
  if (::fstatat(directory_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("stat ", name));
  }
  const bool kept = keep.count(st.st_ino) != 0;
  if (!S_ISDIR(st.st_mode)) {
    if (kept || ::unlinkat(directory_fd, name.c_str(), 0) == 0) {
      return absl::OkStatus();
    }
    return ErrnoStatus(errno, absl::StrCat("unlink ", name));
  }
  const UniqueFd fd(::openat(directory_fd, name.c_str(), kDirectoryFlags));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("open ", name));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(fd.get()));
  for (const std::string& inner : names) {
    RETURN_IF_ERROR(RemoveExcept(fd.get(), inner, keep));
  }
  if (kept || ::unlinkat(directory_fd, name.c_str(), AT_REMOVEDIR) == 0 ||
      errno == ENOTEMPTY) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, absl::StrCat("rmdir ", name));
}

// How many directories `directory_fd` lies below `root_fd`; stops counting
// where that is too many. Climbs, as the unpacker's root has no /proc to ask.
absl::StatusOr<int> DepthOf(int root_fd, int directory_fd) {
  struct stat root = {};
  if (::fstat(root_fd, &root) != 0) return ErrnoStatus(errno, "stat");
  UniqueFd climbing;
  for (int depth = 0;; ++depth) {
    const int fd = depth == 0 ? directory_fd : climbing.get();
    struct stat here = {};
    if (::fstat(fd, &here) != 0) return ErrnoStatus(errno, "stat");
    const bool at_root =
        here.st_dev == root.st_dev && here.st_ino == root.st_ino;
    if (at_root || depth > kMaxDepth) return depth;
    UniqueFd above(::openat(fd, "..", kDirectoryFlags));
    if (!above.valid()) return ErrnoStatus(errno, "open ..");
    climbing = std::move(above);
  }
}

uint32_t FileMode(uint32_t mode) { return (mode & 0777U) | 0600U; }
uint32_t DirectoryMode(uint32_t mode) { return (mode & 0777U) | 0700U; }

}  // namespace

absl::StatusOr<Tree> Tree::Open(const std::string& root) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(root, O_RDONLY | O_DIRECTORY));
  return Tree(std::move(fd));
}

// Opens a directory of the tree, links on the way followed inside the tree.
// How deep it really lies is bounded, since links can lead ever deeper.
absl::StatusOr<UniqueFd> Tree::OpenDirectory(const std::string& path,
                                             bool make_parents) {
  absl::StatusOr<UniqueFd> fd =
      oci::OpenInRoot(root_.get(), path, O_RDONLY | O_DIRECTORY);
  if (!fd.ok() && absl::IsNotFound(fd.status()) && make_parents) {
    const size_t slash = path.rfind('/');
    const std::string name = slash == path.npos ? path : path.substr(slash + 1);
    ASSIGN_OR_RETURN(
        const UniqueFd parent,
        OpenDirectory(slash == path.npos ? "." : path.substr(0, slash), true));
    if (::mkdirat(parent.get(), name.c_str(), kParentMode) != 0) {
      return EntryError(errno, path, "mkdir");
    }
    fd = oci::OpenInRoot(root_.get(), path, O_RDONLY | O_DIRECTORY);
  }
  if (!fd.ok()) {
    if (absl::IsNotFound(fd.status()) ||
        absl::IsResourceExhausted(fd.status())) {
      return fd.status();
    }
    return Bad(path, fd.status().message());
  }
  ASSIGN_OR_RETURN(const int depth, DepthOf(root_.get(), fd->get()));
  if (depth > kMaxDepth) return Bad(path, "nested too deep");
  struct stat st = {};
  if (::fstat(fd->get(), &st) != 0) return ErrnoStatus(errno, "stat");
  if (make_parents) made_.insert(st.st_ino);
  return fd;
}

absl::StatusOr<Tree::Place> Tree::Locate(absl::string_view path,
                                         bool make_parents) {
  ASSIGN_OR_RETURN(std::vector<std::string> parts, Components(path));
  Place place;
  if (parts.empty()) {
    ASSIGN_OR_RETURN(place.directory, OpenDirectory(".", make_parents));
    return place;
  }
  place.name = std::move(parts.back());
  parts.pop_back();
  ASSIGN_OR_RETURN(
      place.directory,
      OpenDirectory(parts.empty() ? "." : absl::StrJoin(parts, "/"),
                    make_parents));
  return place;
}

absl::Status Tree::Clear(const Place& place) {
  return RemoveExcept(place.directory.get(), place.name, {});
}

absl::Status Tree::Remember(const Place& place) {
  struct stat st = {};
  if (::fstatat(place.directory.get(), place.name.c_str(), &st,
                AT_SYMLINK_NOFOLLOW) != 0) {
    return EntryError(errno, place.name, "stat");
  }
  made_.insert(st.st_ino);
  return absl::OkStatus();
}

absl::Status Tree::MakeDirectory(absl::string_view path, uint32_t mode) {
  ASSIGN_OR_RETURN(const Place place, Locate(path, true));
  // The root keeps its own mode.
  if (place.IsRoot()) return absl::OkStatus();
  struct stat st = {};
  if (::fstatat(place.directory.get(), place.name.c_str(), &st,
                AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(st.st_mode)) {
    RETURN_IF_ERROR(Clear(place));
    if (::mkdirat(place.directory.get(), place.name.c_str(), kParentMode) !=
        0) {
      return EntryError(errno, path, "mkdir");
    }
  }
  const UniqueFd fd(
      ::openat(place.directory.get(), place.name.c_str(), kDirectoryFlags));
  if (!fd.valid() || ::fchmod(fd.get(), DirectoryMode(mode)) != 0) {
    return EntryError(errno, path, "chmod");
  }
  return Remember(place);
}

absl::Status Tree::MakeSymlink(absl::string_view path,
                               const std::string& target) {
  ASSIGN_OR_RETURN(const Place place, Locate(path, true));
  if (place.IsRoot()) return Bad(path, "the root can be no link");
  RETURN_IF_ERROR(Clear(place));
  if (::symlinkat(target.c_str(), place.directory.get(), place.name.c_str()) !=
      0) {
    return EntryError(errno, path, "symlink");
  }
  return Remember(place);
}

absl::Status Tree::MakeHardLink(absl::string_view path,
                                absl::string_view target) {
  absl::StatusOr<Place> from = Locate(target, false);
  struct stat st = {};
  if (!from.ok() || from->IsRoot() ||
      ::fstatat(from->directory.get(), from->name.c_str(), &st,
                AT_SYMLINK_NOFOLLOW) != 0) {
    return Bad(path, absl::StrCat("a link to ", target.substr(0, 256),
                                  ", which is not in the image"));
  }
  if (!S_ISREG(st.st_mode)) {
    return Bad(path, absl::StrCat("a link to ", target.substr(0, 256),
                                  ", which is not a regular file"));
  }
  ASSIGN_OR_RETURN(const Place place, Locate(path, true));
  if (place.IsRoot()) return Bad(path, "the root can be no link");
  struct stat old = {};
  if (::fstatat(place.directory.get(), place.name.c_str(), &old,
                AT_SYMLINK_NOFOLLOW) == 0 &&
      old.st_ino == st.st_ino) {
    return Remember(place);
  }
  RETURN_IF_ERROR(Clear(place));
  if (::linkat(from->directory.get(), from->name.c_str(), place.directory.get(),
               place.name.c_str(), 0) != 0) {
    return EntryError(errno, path, "link");
  }
  return Remember(place);
}

absl::StatusOr<UniqueFd> Tree::MakeFile(absl::string_view path, uint32_t mode) {
  ASSIGN_OR_RETURN(const Place place, Locate(path, true));
  if (place.IsRoot()) return Bad(path, "the root can be no file");
  RETURN_IF_ERROR(Clear(place));
  UniqueFd fd(::openat(place.directory.get(), place.name.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       0600));
  if (!fd.valid() || ::fchmod(fd.get(), FileMode(mode)) != 0) {
    return EntryError(errno, path, "create");
  }
  RETURN_IF_ERROR(Remember(place));
  return fd;
}

absl::Status Tree::Whiteout(absl::string_view path) {
  absl::StatusOr<Place> place = Locate(path, false);
  if (absl::IsNotFound(place.status())) return absl::OkStatus();
  if (!place.ok()) return place.status();
  if (place->IsRoot()) return Bad(path, "the root cannot be whited out");
  return RemoveExcept(place->directory.get(), place->name, made_);
}

absl::Status Tree::MakeOpaque(absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, Components(path));
  absl::StatusOr<UniqueFd> fd =
      OpenDirectory(parts.empty() ? "." : absl::StrJoin(parts, "/"), false);
  if (absl::IsNotFound(fd.status())) return absl::OkStatus();
  if (!fd.ok()) return fd.status();
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(fd->get()));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveExcept(fd->get(), name, made_));
  }
  return absl::OkStatus();
}

}  // namespace serai::cri
