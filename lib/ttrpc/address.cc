// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/address.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/strip.h"

namespace serai::ttrpc {

absl::StatusOr<UniqueFd> ConnectTo(absl::string_view address, int flags) {
  const absl::string_view path = absl::StripPrefix(address, "unix://");
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is no path of a unix socket"));
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!socket.valid()) return ErrnoStatus(errno, "socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name),
                sizeof(name)) == 0) {
    return socket;
  }
  const int error = errno;
  const std::string what = absl::StrCat("connecting to ", path);
  if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN) {
    return absl::UnavailableError(
        absl::StrCat(what, ": ", std::strerror(error)));
  }
  return ErrnoStatus(error, what);
}

}  // namespace serai::ttrpc
