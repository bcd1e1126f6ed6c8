// SPDX-License-Identifier: Apache-2.0
#pragma once

// An HTTP server on a free port of 127.0.0.1 that answers whatever a test
// wants, byte by byte: well-behaved, wrong, or hostile. One thread for each
// connection, one request on each.

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

struct HttpServerRequest {
  std::string method;
  std::string path;                            // without the query
  std::string query;                           // without "?"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpServer {
 public:
  // A connection's way back. Closed when the handler returns.
  class Reply {
   public:
    explicit Reply(int fd) : fd_(fd) {}
    // Raw bytes; false when the client or the server has gone.
    bool Send(absl::string_view bytes);
    // A whole answer with its Content-Length. `headers`: lines, each with CRLF.
    void Answer(int status, absl::string_view body,
                absl::string_view headers = "");

   private:
    int fd_;
  };
  // Called on the connection's thread.
  using Handler = std::function<void(const HttpServerRequest&, Reply&)>;

  explicit HttpServer(Handler handler);
  // Ends every connection, waits for every handler.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "127.0.0.1:40123".
  const std::string& host() const { return host_; }
  // What was asked until now, in order of arrival.
  std::vector<HttpServerRequest> requests() const;

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  UniqueFd listener_;
  std::string host_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<HttpServerRequest> requests_;
  std::vector<UniqueFd> connections_;  // shut down early, closed at the end
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace serai::testing
