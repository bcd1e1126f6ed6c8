// SPDX-License-Identifier: Apache-2.0
#pragma once

// Answers GET /metrics on a TCP address: HTTP/1.1 by Boost.Beast, on a thread
// of its own that sleeps while nobody asks. Connections, headers and the time
// that a peer takes are bounded. No TLS and no authentication: the address is
// meant to be a local one.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cri/metrics/exposition.h"
#include "lib/base/status.h"

namespace serai::cri {

class HttpEndpoint {
 public:
  // Called on the endpoint's thread for each scrape, one at a time.
  using Scrape = std::function<std::string(Exposition)>;

  // Listens on `address`, "127.0.0.1:9469" or "[::1]:9469"; port 0 takes a free
  // one. INVALID_ARGUMENT for what is no address, FAILED_PRECONDITION when it
  // can't be listened on, saying why.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Listen(
      const std::string& address, Scrape scrape);

  // Closes every connection and ends the thread, after a scrape under way.
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // With the port that was taken.
  const std::string& address() const { return address_; }

 private:
  class Server;
  HttpEndpoint(std::unique_ptr<Server> server, std::string address);

  std::unique_ptr<Server> server_;
  std::string address_;
};

}  // namespace serai::cri
