// SPDX-License-Identifier: Apache-2.0
#pragma once

// The streaming server that Attach and PortForward of the CRI give URLs of:
//
//   http(s)://ADDRESS/attach/TOKEN, http(s)://ADDRESS/portforward/TOKEN
//
// One thread of its own serves all connections. A token is the only right that
// is asked for, unless the client has to show a certificate. docs/adr/0013.

#include <memory>
#include <string>

#include "cri/streaming/backend.h"
#include "cri/streaming/token_cache.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

struct ServerOptions {
  // "HOST:PORT", an IPv4 address or an IPv6 one in brackets; port 0 is any.
  std::string address = "127.0.0.1:0";
  // Files in PEM form: the certificate with its chain, and its key. TLS 1.2 and
  // later when they are set, both of them.
  std::string tls_certificate;
  std::string tls_key;
  // The authorities of clients' certificates, which are then asked for.
  std::string tls_client_ca;
};

class Server {
 public:
  // Listens when it returns. INVALID_ARGUMENT for options that don't do,
  // UNAVAILABLE when the address can't be had. `backend` outlives the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options, Backend& backend);

  // Ends every connection.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A URL that serves once, for a minute. Any thread.
  absl::StatusOr<std::string> AttachUrl(AttachRequest request);
  absl::StatusOr<std::string> PortForwardUrl(PortForwardRequest request);

  // "http://127.0.0.1:34567".
  const std::string& base_url() const { return base_url_; }

 private:
  class Listener;
  explicit Server(std::unique_ptr<Listener> listener);

  absl::StatusOr<std::string> Url(absl::string_view action, Request request);

  const std::unique_ptr<Listener> listener_;
  const std::string base_url_;
};

}  // namespace serai::cri::streaming
