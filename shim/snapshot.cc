// SPDX-License-Identifier: Apache-2.0
#include "shim/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "shim/arguments.h"

namespace serai::shim {
namespace {

constexpr char kMachine[] = "machine";
constexpr char kMagic[] = "SERAISNP";
// Where the machine file has the number of its memory file.
constexpr off_t kNumberAt = 40;
constexpr uint32_t kMemoryFiles = 2;
// A snapshot is three files at most, one of which is on its way.
constexpr size_t kMaxEntries = 16;

absl::StatusOr<std::vector<std::string>> NamesIn(int directory) {
  UniqueFd copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.valid()) return ErrnoStatus(errno, "open");
  DIR* const stream = ::fdopendir(copy.get());
  if (stream == nullptr) return ErrnoStatus(errno, "fdopendir");
  static_cast<void>(copy.release());  // the stream's
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const absl::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    names.emplace_back(entry->d_name);
    if (names.size() == kMaxEntries) break;
  }
  ::closedir(stream);
  return names;
}

absl::StatusOr<UniqueFd> OpenRegular(int directory, const std::string& name) {
  UniqueFd fd(::openat(directory, name.c_str(),
                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) {
    // A checkpoint that is none is the caller's mistake: no NOT_FOUND.
    return absl::InvalidArgumentError(
        absl::StrCat("file ", name, ": ", std::strerror(errno)));
  }
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, "fstat");
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is no file"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<SnapshotChannel> OpenSnapshotChannel() {
  std::array<int, 2> fds = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   fds.data()) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  return SnapshotChannel{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

absl::Status SendDirectory(int shim_end, int directory) {
  char byte = 's';
  iovec data = {&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &directory, sizeof(int));
  if (::sendmsg(shim_end, &message, MSG_NOSIGNAL) != 1) {
    return ErrnoStatus(errno, "handing the directory to the tender");
  }
  return absl::OkStatus();
}

absl::StatusOr<SnapshotDirectory> SnapshotDirectory::Make(
    const std::string& path) {
  if (!absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("snapshot directory \"", path, "\" is no absolute path"));
  }
  const bool made = ::mkdir(path.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("mkdir ", path));
  }
  ASSIGN_OR_RETURN(UniqueFd fd,
                   OpenFile(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  SnapshotDirectory directory(path, made, std::move(fd));
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   NamesIn(directory.fd()));
  if (!names.empty()) {
    // Not least because the directory changes hands.
    return absl::FailedPreconditionError(absl::StrCat(
        "snapshot directory ", path, " is not empty: it has ", names.front()));
  }
  if (::geteuid() == 0 &&
      ::fchown(directory.fd(), kTenderUser, kTenderUser) != 0) {
    return FirstError(ErrnoStatus(errno, absl::StrCat("chown ", path)),
                      directory.Discard());
  }
  return directory;
}

absl::Status SnapshotDirectory::Keep() const {
  if (::geteuid() != 0) return absl::OkStatus();
  if (::fchown(fd(), 0, 0) != 0) return ErrnoStatus(errno, "chown");
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(fd()));
  for (const std::string& name : names) {
    if (::fchownat(fd(), name.c_str(), 0, 0, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoStatus(errno, absl::StrCat("chown ", name));
    }
  }
  return absl::OkStatus();
}

absl::Status SnapshotDirectory::Discard() const {
  if (::geteuid() == 0 && ::fchown(fd(), 0, 0) != 0) {
    return ErrnoStatus(errno, "chown");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(fd()));
  for (const std::string& name : names) {
    if (::unlinkat(fd(), name.c_str(), 0) != 0) {
      return ErrnoStatus(errno, absl::StrCat("unlink ", name));
    }
  }
  if (made_ && ::rmdir(path_.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("rmdir ", path_));
  }
  return absl::OkStatus();
}

absl::StatusOr<SnapshotFiles> OpenSnapshot(const std::string& directory) {
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY));
  SnapshotFiles files;
  ASSIGN_OR_RETURN(files.machine, OpenRegular(fd.get(), kMachine),
                   "checkpoint ", directory);
  std::array<char, sizeof(kMagic) - 1> magic = {};
  uint32_t number = 0;
  if (::pread(files.machine.get(), magic.data(), magic.size(), 0) !=
          static_cast<ssize_t>(magic.size()) ||
      !std::equal(magic.begin(), magic.end(), kMagic) ||
      ::pread(files.machine.get(), &number, sizeof(number), kNumberAt) !=
          sizeof(number) ||
      number >= kMemoryFiles) {
    return absl::InvalidArgumentError(absl::StrCat(
        "checkpoint ", directory, ": ", kMachine, " is no snapshot's"));
  }
  ASSIGN_OR_RETURN(files.memory,
                   OpenRegular(fd.get(), absl::StrCat("memory.", number)),
                   "checkpoint ", directory);
  return files;
}

}  // namespace serai::shim
