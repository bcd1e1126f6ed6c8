// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the server listens, and what its URLs call it.

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "lib/base/status.h"

namespace serai::cri::streaming {

// "127.0.0.1:0", "[::1]:8080". INVALID_ARGUMENT, with what would be right.
absl::StatusOr<boost::asio::ip::tcp::endpoint> ParseListenAddress(
    const std::string& text);

// "http://127.0.0.1:34567". kubelet is on this node: for any address the
// loopback one stands.
std::string UrlOf(absl::string_view scheme,
                  const boost::asio::ip::tcp::endpoint& endpoint);

// Peers that have vanished are found out after some minutes of silence.
void SetKeepAlive(int socket);

}  // namespace serai::cri::streaming
