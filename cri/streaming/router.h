// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a whole request to what serves it: takes the token, negotiates the
// protocol, and gives the connection to attach or port-forward over SPDY or
// WebSocket. Used on the server's thread only.

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "cri/streaming/backend.h"
#include "cri/streaming/http_connection.h"
#include "cri/streaming/poster.h"
#include "cri/streaming/service.h"
#include "cri/streaming/token_cache.h"
#include "cri/streaming/upgrade.h"

namespace serai::cri::streaming {

class Router {
 public:
  // Upgraded at a time; more are refused.
  static constexpr size_t kMaxConnections = 512;

  // What outlives the router, and whom it makes.
  struct Parts {
    boost::asio::any_io_executor executor;
    Backend& backend;
    std::shared_ptr<Poster> poster;
    TokenCache& tokens;
  };
  explicit Router(Parts parts) : parts_(std::move(parts)) {}

  // Answers the request.
  void Serve(const std::shared_ptr<HttpConnection>& connection);

 private:
  absl::Status TryServe(const std::shared_ptr<HttpConnection>& connection);
  absl::Status ServeSpdy(const std::shared_ptr<HttpConnection>& connection,
                         const UpgradeRequest& http, const Request& request);
  absl::Status ServeWebSocket(const std::shared_ptr<HttpConnection>& connection,
                              const UpgradeRequest& http,
                              const Request& request);
  std::shared_ptr<Service> NewService(const Request& request,
                                      const std::string& protocol,
                                      size_t connections);

  const Parts parts_;
  // Copied by each upgraded connection: its count is theirs.
  const std::shared_ptr<const int> connections_ = std::make_shared<int>(0);
  // The same for connections to pods.
  const std::shared_ptr<const int> forwarded_ = std::make_shared<int>(0);
};

}  // namespace serai::cri::streaming
