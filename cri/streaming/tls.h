// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "cri/streaming/server.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

// What TLS needs, or null without it. INVALID_ARGUMENT naming the file that
// doesn't do.
absl::StatusOr<std::unique_ptr<boost::asio::ssl::context>> TlsContext(
    const ServerOptions& options);

}  // namespace serai::cri::streaming
