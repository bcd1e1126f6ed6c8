// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_get.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"

namespace serai::testing {

absl::StatusOr<std::string> HttpGet(const std::string& ip, int port,
                                    const std::string& path,
                                    absl::Duration timeout) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const timeval limit = absl::ToTimeval(timeout);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(ip, " is no address"));
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat("connect ", ip, ": ", errno));
  }
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
