// SPDX-License-Identifier: Apache-2.0
#include "shim/socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/file.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kBacklog = 128;
constexpr char kSuffix[] = ".sock";
constexpr size_t kHashDigits = 16;
// Of an id, before the hash: enough to recognise it.
constexpr size_t kLeastNameLength = 8;

// FNV-1a. Ids come from the node's own runtime, which does not play tricks on
// itself: no cryptographic hash is needed to keep two apart.
uint64_t Hash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return hash;
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, kMaxPath);
  return address;
}

absl::StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  return fd;
}

}  // namespace

std::string SocketDirectory(const std::string& from_environment,
                            const std::string& from_caller) {
  if (!from_environment.empty()) return from_environment;
  return from_caller.empty() ? "/run/serai/s" : from_caller;
}

absl::StatusOr<std::string> SocketPath(const std::string& directory,
                                       const std::string& namespace_name,
                                       const std::string& id,
                                       const std::string& client) {
  if (!absl::StartsWith(directory, "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "socket directory \"", directory, "\" is no absolute path"));
  }
  const std::string name = absl::StrCat(namespace_name, "-", id);
  std::string path = absl::StrCat(JoinPath(directory, name), kSuffix);
  if (client.empty() && path.size() <= kMaxPath) return path;
  const size_t fixed =
      JoinPath(directory, "").size() + 1 + kHashDigits + sizeof(kSuffix) - 1;
  if (fixed + kLeastNameLength > kMaxPath) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket directory ", directory, ": the path is too long"));
  }
  // A name has no '@'.
  const std::string hashed =
      client.empty() ? name : absl::StrCat(name, "@", client);
  return absl::StrCat(JoinPath(directory, name.substr(0, kMaxPath - fixed)),
                      "-", absl::Hex(Hash(hashed), absl::kZeroPad16), kSuffix);
}

absl::StatusOr<UniqueFd> LockSocketDirectory(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirs(directory, 0700));
  ASSIGN_OR_RETURN(UniqueFd fd,
                   OpenFile(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, "fstat");
  if (st.st_uid != ::geteuid() || (st.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("socket directory ", directory,
                     " must be this user's own with mode 0700"));
  }
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "flock");
  }
  return fd;
}

absl::StatusOr<bool> IsServed(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, NewSocket());
  const sockaddr_un address = AddressOf(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) == 0) {
    return true;
  }
  // EAGAIN: the queue of one that listens is full.
  if (errno == EAGAIN) return true;
  if (errno == ENOENT || errno == ECONNREFUSED) return false;
  return ErrnoStatus(errno, absl::StrCat("connecting to ", path));
}

absl::StatusOr<UniqueFd> ListenAt(const std::string& path) {
  RETURN_IF_ERROR(RemovePath(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const sockaddr_un address = AddressOf(path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listening at ", path));
  }
  return fd;
}

}  // namespace serai::shim
