// SPDX-License-Identifier: Apache-2.0
#pragma once

// HTTP as a registry client needs it: one exchange at a time over kept-alive
// connections, every size and time bounded, bodies streamed to the caller.
//
// Redirects are followed here and not by libcurl, so that the one rule that
// matters stands in one place: what proves who we are goes to the origin it was
// meant for and to no other.
//
// No message contains a URL's query (pre-signed URLs carry secrets there) or a
// request header.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::oci {

// How a server is trusted and how we prove ourselves to it by certificate.
struct TlsOptions {
  std::string ca_pem;              // trusted besides the system's certificates
  std::string client_certificate;  // paths of PEM files; empty: none
  std::string client_key;          // empty: in client_certificate
  bool skip_verify = false;
};

struct HttpLimits {
  absl::Duration connect_timeout = absl::Seconds(30);
  // A transfer slower than this for this long is given up.
  int64_t low_speed_bytes_per_second = 1024;
  absl::Duration low_speed_time = absl::Seconds(60);
  int max_redirects = 5;
};

// Asked about once a second and whenever data moves; true ends the exchange
// with CANCELLED. May be empty. Called on the thread that called us.
using Cancelled = std::function<bool()>;

enum class HttpMethod { kGet, kHead, kPost, kPut };

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;  // names in lower case
  // Of a 2xx answer without a sink: all of it. Of another: its first 16 KiB.
  std::string body;
  std::string url;  // where the answer came from, after redirects

  // The first header of that (lower-case) name, or "".
  absl::string_view Header(absl::string_view name) const;
};

struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string url;  // http or https, no user information
  HttpHeaders headers;
  // Sent to the URL's own origin only (Authorization, what the operator
  // configured for the host): dropped at a redirect to another scheme, host or
  // port, and so is the client certificate of `tls`.
  HttpHeaders origin_headers;
  TlsOptions tls;
  // What POST and PUT send: `body`, or `body_size` bytes from the start of the
  // borrowed descriptor when that is >= 0.
  std::string body;
  int body_fd = -1;
  uint64_t body_size = 0;
  // Sees a 2xx answer's status and headers before its body comes; its error
  // ends the exchange and is returned as it is. May be empty.
  std::function<absl::Status(const HttpResponse&)> head;
  // Takes the body of a 2xx answer piece by piece; its error ends the exchange
  // and is returned as it is. Empty: the body is kept in HttpResponse::body.
  std::function<absl::Status(absl::string_view)> sink;
  // Longest body of a 2xx answer, sink or not; longer: RESOURCE_EXHAUSTED.
  uint64_t max_body = 0;
  // Limit for the whole exchange.
  absl::Duration timeout = absl::InfiniteDuration();
};

// One connection pool; one thread at a time.
class HttpSession {
 public:
  HttpSession(HttpLimits limits, Cancelled cancelled);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  // Performs the exchange; GET and HEAD follow redirects, but not from https to
  // http. Any HTTP status is a result.
  //
  // UNAVAILABLE: no connection, or it broke. DEADLINE_EXCEEDED: too slow.
  // CANCELLED. RESOURCE_EXHAUSTED: the answer is larger than allowed.
  // FAILED_PRECONDITION: the server's certificate is not trusted, or it
  // redirects where we don't go. INVALID_ARGUMENT: not a URL we take.
  absl::StatusOr<HttpResponse> Do(const HttpRequest& request);

  bool cancelled() const { return cancelled_ && cancelled_(); }

 private:
  struct Handle;  // hides libcurl

  absl::StatusOr<HttpResponse> Exchange(const HttpRequest& request,
                                        const std::string& url, bool own_origin,
                                        std::string& redirect);

  const HttpLimits limits_;
  const Cancelled cancelled_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace serai::oci
