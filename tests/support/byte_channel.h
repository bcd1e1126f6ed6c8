// SPDX-License-Identifier: Apache-2.0
#pragma once

// A connection of a test's client to a server: TCP or TLS, with time limits.
// One thread.

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::testing {

class ByteChannel {
 public:
  virtual ~ByteChannel() = default;

  // At least one byte; an empty string at the end. DEADLINE_EXCEEDED.
  virtual absl::StatusOr<std::string> Receive(absl::Duration timeout) = 0;
  // How many of the bytes were sent within `timeout`.
  virtual absl::StatusOr<size_t> SendSome(absl::string_view bytes,
                                          absl::Duration timeout) = 0;
  // All of them.
  absl::Status Send(absl::string_view bytes);
};

// "http://127.0.0.1:1234/path" and what it is made of.
struct Url {
  bool tls = false;
  std::string host;  // an IPv4 address
  int port = 0;
  std::string path;
};
absl::StatusOr<Url> ParseUrl(const std::string& text);

struct TlsFiles {
  std::string ca;           // the server's authority
  std::string certificate;  // the client's own; may be empty
  std::string key;
};

// With TLS when the URL has it.
absl::StatusOr<std::unique_ptr<ByteChannel>> ConnectTo(
    const Url& url, const TlsFiles& files = {});

// An HTTP answer's head: the status and headers with names in lower case, a
// line each; and what came after it.
struct HttpHead {
  int status = 0;
  std::string lines;
  std::string rest;
  // The value of a header; empty when there is none.
  std::string Value(absl::string_view name) const;
};
// Sends the request and reads the answer's head.
absl::StatusOr<HttpHead> HttpExchange(ByteChannel& channel,
                                      absl::string_view request);

}  // namespace serai::testing
