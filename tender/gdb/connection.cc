// SPDX-License-Identifier: Apache-2.0
#include "tender/gdb/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/report.h"

namespace serai::tender::gdb {
namespace {

[[noreturn]] void Fail(const char* what) {
  Fatal("--gdb: %s: %s", what, std::strerror(errno));
}

int Socket(int family) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("socket");
  return fd;
}

// Only this machine gets at it: who does owns the guest.
int ListenOnPort(uint16_t port) {
  const int fd = Socket(AF_INET);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd, 1) != 0) {
    Fail("listening on the loopback interface");
  }
  return fd;
}

int ListenOnPath(const char* path) {
  const int fd = Socket(AF_UNIX);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    Fail(path);
  }
  std::memcpy(address.sun_path, path, std::strlen(path));
  // What a tender before this one has left.
  struct stat status = {};
  if (::lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path);
  const mode_t mask = ::umask(0177);
  const int result =
      ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  ::umask(mask);
  if (result != 0 || ::listen(fd, 1) != 0) Fail(path);
  return fd;
}

}  // namespace

int Listen(const GdbOptions& options) {
  return options.unix_path != nullptr ? ListenOnPath(options.unix_path)
                                      : ListenOnPort(options.port);
}

Connection::Connection(const GdbOptions& options)
    : options_(options),
      listener_(options.listener_fd >= 0 ? options.listener_fd
                                         : Listen(options)) {}

void Connection::Accept() {
  if (options_.unix_path != nullptr) {
    Warn("waiting for gdb: target remote %s", options_.unix_path);
  } else {
    Warn("waiting for gdb: target remote 127.0.0.1:%u", options_.port);
  }
  do {
    fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  } while (fd_ < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd_ < 0) Fail("accept");
  ::close(listener_);
  if (options_.unix_path != nullptr) ::unlink(options_.unix_path);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::fcntl(fd_, F_SETOWN, ::getpid()) != 0 ||
      ::fcntl(fd_, F_SETFL, O_RDWR | O_ASYNC) != 0) {
    Fail("fcntl");
  }
}

ssize_t Connection::Read(std::span<uint8_t> to, bool wait) {
  for (;;) {
    const ssize_t n =
        ::recv(fd_, to.data(), to.size(), wait ? 0 : MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EAGAIN) return -1;
    if (errno != EINTR) return 0;
  }
}

bool Connection::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void Connection::Close() { ::close(fd_); }

}  // namespace serai::tender::gdb
