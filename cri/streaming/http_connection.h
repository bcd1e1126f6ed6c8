// SPDX-License-Identifier: Apache-2.0
#pragma once

// A connection until it is upgraded: TLS, the request's header, the answer.
// Anybody on the node may connect: there are some seconds and some kilobytes to
// name a token. Holds itself while something is under way. Used on the server's
// thread only.

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <functional>
#include <memory>
#include <string>

#include "cri/streaming/any_stream.h"
#include "cri/streaming/upgrade.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

class HttpConnection final
    : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Message = boost::beast::http::request<boost::beast::http::empty_body>;
  using Handler = std::function<void(std::shared_ptr<HttpConnection>)>;

  // `tls` may be null. `on_request` is called when there is a whole request,
  // and answers it; `on_end`, once, when it was upgraded or is over.
  HttpConnection(AnyStream::Socket socket, boost::asio::ssl::context* tls,
                 Handler on_request, std::function<void()> on_end);
  ~HttpConnection();

  void Start();
  void Close();

  UpgradeRequest request() const;
  const Message& message() const { return parser_.get(); }
  // What came after the header.
  std::string rest() const;
  // Gives the stream away.
  std::shared_ptr<AnyStream> Release();

  // Answers 101 with the protocol, and then calls `done`, which releases it.
  void SwitchToSpdy(const std::string& protocol, std::function<void()> done);
  // Answers with an HTTP error, and closes.
  void Refuse(const absl::Status& status);

 private:
  void StartTimer();
  void ReadHeader();
  void OnHeader(boost::system::error_code error);
  void End();
  void Answer(std::string text, std::function<void()> done);
  void Drain();

  const std::shared_ptr<AnyStream> stream_;
  const Handler on_request_;
  std::function<void()> on_end_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  boost::beast::http::request_parser<boost::beast::http::empty_body> parser_;
  std::string answer_;
};

}  // namespace serai::cri::streaming
