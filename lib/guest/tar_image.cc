// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/tar_image.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "lib/base/beneath.h"
#include "lib/base/file.h"
#include "lib/oci/rootfs.h"
#include "lib/oci/tar_writer.h"

namespace serai::guest {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kEnd = 2 * kSector;
constexpr int kTries = 4;
constexpr char kDataLink[] = "..data";

// Opens a path of the tree, resolved inside of it.
using Open =
    std::function<absl::StatusOr<UniqueFd>(const std::string& path, int flags)>;

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

class Walk {
 public:
  // `base` is the directory, for `open`, whose entries are the tar's. A strict
  // walk refuses what it can't take, another leaves it out.
  Walk(Open open, std::string base, bool strict, const TarLimits& limits,
       int out)
      : open_(std::move(open)),
        base_(std::move(base)),
        strict_(strict),
        limits_(limits),
        tar_([out](absl::string_view data) { return WriteAll(out, data); }) {}

  absl::Status Run() {
    RETURN_IF_ERROR(AddAllIn("", 0));
    return tar_.Finish();
  }

 private:
  absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& name);
  absl::Status AddAllIn(const std::string& directory, int depth);
  absl::Status Add(const std::string& name, int depth);
  absl::Status AddLink(const std::string& name);
  absl::Status AddFile(const std::string& name, int place);
  absl::Status Count(uint64_t size);
  absl::Status Refuse(const std::string& name, absl::string_view why) const {
    if (!strict_) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, " ", why));
  }
  std::string PathOf(const std::string& name) const {
    return name.empty() ? base_ : absl::StrCat(base_, "/", name);
  }

  const Open open_;
  const std::string base_;
  const bool strict_;
  const TarLimits limits_;
  oci::TarWriter tar_;
  uint64_t bytes_ = kEnd;
  size_t seen_ = 0;  // names
};

absl::StatusOr<std::vector<std::string>> Walk::NamesIn(
    const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_(PathOf(name), O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoStatus(errno, "opendir");
  fd.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const absl::string_view found = entry->d_name;
    // "." and ".."; at a volume's top all that begin so are kubelet's.
    if (found == "." || found == "..") continue;
    if (strict_ && name.empty() && absl::StartsWith(found, "..")) continue;
    if (++seen_ > limits_.entries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("has more than ", limits_.entries, " files"));
    }
    names.emplace_back(found);
  }
  if (errno != 0) return ErrnoStatus(errno, absl::StrCat("reading ", name));
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Walk::AddAllIn(const std::string& directory, int depth) {
  if (depth > limits_.depth) {
    return absl::ResourceExhaustedError(absl::StrCat(
        directory, " is more than ", limits_.depth, " directories deep"));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(directory));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(Add(
        directory.empty() ? name : absl::StrCat(directory, "/", name), depth));
  }
  return absl::OkStatus();
}

absl::Status Walk::Add(const std::string& name, int depth) {
  ASSIGN_OR_RETURN(const UniqueFd place,
                   open_(PathOf(name), O_PATH | O_NOFOLLOW));
  struct stat st = {};
  if (::fstat(place.get(), &st) != 0) return ErrnoStatus(errno, name);
  if (S_ISLNK(st.st_mode)) return AddLink(name);
  if (S_ISREG(st.st_mode)) return AddFile(name, place.get());
  if (!S_ISDIR(st.st_mode)) {
    return Refuse(name, "is neither a file nor a directory");
  }
  RETURN_IF_ERROR(Count(0), name);
  RETURN_IF_ERROR(
      tar_.AddDirectory(absl::StrCat(name, "/"), st.st_mode & 0777));
  return AddAllIn(name, depth + 1);
}

absl::Status Walk::AddLink(const std::string& name) {
  const absl::StatusOr<UniqueFd> place = open_(PathOf(name), O_PATH);
  if (!place.ok()) {
    return strict_ ? Annotate(place.status(), "symbolic link")
                   : absl::OkStatus();
  }
  struct stat st = {};
  if (::fstat(place->get(), &st) != 0) return ErrnoStatus(errno, name);
  if (!S_ISREG(st.st_mode)) {
    return Refuse(name, "is a symbolic link that leads to no file");
  }
  return AddFile(name, place->get());
}

// Its size is taken once: what is written behind that meanwhile is not read,
// and a file that has become shorter is read anew.
absl::Status Walk::AddFile(const std::string& name, int place) {
  ASSIGN_OR_RETURN(const UniqueFd file,
                   OpenFile(absl::StrCat("/proc/self/fd/", place), O_RDONLY),
                   name);
  struct stat st = {};
  if (::fstat(file.get(), &st) != 0) return ErrnoStatus(errno, name);
  RETURN_IF_ERROR(Count(static_cast<uint64_t>(st.st_size)), name);
  return tar_.AddFile(name, st.st_mode & 0777, file.get(), st.st_size);
}

absl::Status Walk::Count(uint64_t size) {
  const uint64_t left = limits_.bytes - std::min(limits_.bytes, bytes_);
  if (size > left || (size + 2 * kSector - 1) / kSector * kSector > left) {
    return absl::ResourceExhaustedError(
        absl::StrCat("of ", size,
                     " bytes is too much: all files together have "
                     "at most ",
                     limits_.bytes >> 20, " MiB as a tar"));
  }
  bytes_ += (size + 2 * kSector - 1) / kSector * kSector;
  return absl::OkStatus();
}

// Where `..data` leads; "." in a directory without one.
absl::StatusOr<std::string> DataDirectory(int volume) {
  std::array<char, PATH_MAX> link;
  const ssize_t n = ::readlinkat(volume, kDataLink, link.data(), link.size());
  if (n < 0 && errno == ENOENT) return std::string(".");
  if (n < 0) return ErrnoStatus(errno, kDataLink);
  if (static_cast<size_t>(n) == link.size()) {
    return ErrnoStatus(ENAMETOOLONG, kDataLink);
  }
  return std::string(link.data(), static_cast<size_t>(n));
}

absl::Status Empty(int out) {
  if (::ftruncate(out, 0) != 0 || ::lseek(out, 0, SEEK_SET) != 0) {
    return ErrnoStatus(errno, "emptying the tar");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteProjectedTar(int volume, const TarLimits& limits, int out) {
  const Open open = [volume](const std::string& path, int flags) {
    return OpenBeneath(volume, path, flags);
  };
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(const std::string data, DataDirectory(volume));
    RETURN_IF_ERROR(Empty(out));
    const absl::Status written = Walk(open, data, true, limits, out).Run();
    // kubelet has put another directory in its place, and may have removed some
    // files of this one before they were listed; or a file was cut.
    ASSIGN_OR_RETURN(const std::string now, DataDirectory(volume));
    const bool again =
        now != data || absl::IsNotFound(written) || absl::IsDataLoss(written);
    if (!again) return written;
    if (attempt == kTries) {
      return absl::AbortedError(absl::StrCat(
          "its files change while they are read: ", written.message()));
    }
  }
}

absl::Status WriteImageTar(int root, const TarLimits& limits, int out) {
  const Open open = [root](const std::string& path, int flags) {
    return oci::OpenInRoot(root, path, flags);
  };
  RETURN_IF_ERROR(Empty(out));
  return Walk(open, ".", false, limits, out).Run();
}

}  // namespace serai::guest
