// SPDX-License-Identifier: Apache-2.0
#include "lib/ttrpc/address.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/strip.h"

namespace serai::ttrpc {

namespace {

// A server that does not read, or does not accept, for this long is stuck: its
// buffer or its queue is full, and a caller must not hang on it.
constexpr timeval kPatience = {10, 0};

}  // namespace

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
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience,
               sizeof(kPatience));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name),
                sizeof(name)) == 0) {
    return socket;
  }
  const int error = errno;
  const std::string what = absl::StrCat("connecting to ", path);
  // A queue that stays full: somebody listens there.
  if (error == EAGAIN && (flags & SOCK_NONBLOCK) == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat(what, ": nobody accepts the connection"));
  }
  if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN) {
    return absl::UnavailableError(
        absl::StrCat(what, ": ", std::strerror(error)));
  }
  return ErrnoStatus(error, what);
}

}  // namespace serai::ttrpc
