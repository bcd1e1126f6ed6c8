// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/listen_address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace serai::cri::streaming {

namespace ip = boost::asio::ip;

absl::StatusOr<ip::tcp::endpoint> ParseListenAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  const bool bracketed =
      absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (bracketed) host = host.substr(1, host.size() - 2);
  int port = -1;
  boost::system::error_code error;
  const ip::address address = ip::make_address(host, error);
  if (colon == std::string::npos || error || address.is_v6() != bracketed ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text,
                     "\" is no address to listen on, such as 127.0.0.1:0 or "
                     "[::1]:10010"));
  }
  return ip::tcp::endpoint(address, static_cast<uint16_t>(port));
}

std::string UrlOf(absl::string_view scheme, const ip::tcp::endpoint& endpoint) {
  ip::address address = endpoint.address();
  if (address.is_unspecified()) {
    address = address.is_v4() ? ip::address(ip::address_v4::loopback())
                              : ip::address(ip::address_v6::loopback());
  }
  const std::string host = address.is_v6()
                               ? absl::StrCat("[", address.to_string(), "]")
                               : address.to_string();
  return absl::StrCat(scheme, "://", host, ":", endpoint.port());
}

void SetKeepAlive(int socket) {
  const auto set = [socket](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof(value));
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace serai::cri::streaming
