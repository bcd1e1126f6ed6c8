// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_get.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {
namespace {

absl::StatusOr<UniqueFd> Dial(const std::string& ip, int port,
                              absl::Duration timeout) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(ip.c_str(), absl::StrCat(port).c_str(), &hints, &found) !=
      0) {
    return absl::InvalidArgumentError(absl::StrCat(ip, " is no address"));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> address(
      found, ::freeaddrinfo);
  UniqueFd fd(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const timeval limit = absl::ToTimeval(timeout);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(fd.get(), address->ai_addr, address->ai_addrlen) != 0) {
    return absl::UnavailableError(absl::StrCat("connect ", ip, ": ", errno));
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::string> HttpGet(const std::string& ip, int port,
                                    const std::string& path,
                                    absl::Duration timeout) {
  ASSIGN_OR_RETURN(const UniqueFd fd, Dial(ip, port, timeout));
  RETURN_IF_ERROR(
      WriteAll(fd.get(), absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", ip,
                                      "\r\nConnection: close\r\n\r\n")));
  auto answer = ReadAll(fd.get(), 1 << 20);
  if (!answer.ok() || answer->empty()) {
    return absl::UnavailableError(absl::StrCat("no answer from ", ip));
  }
  return answer;
}

absl::StatusOr<std::string> HttpGetRetried(const std::string& ip, int port,
                                           const std::string& path,
                                           absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    auto answer = HttpGet(ip, port, path);
    if (answer.ok() || absl::Now() > deadline) return answer;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

}  // namespace serai::testing
