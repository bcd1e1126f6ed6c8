// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/http_connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <utility>

namespace serai::cri::streaming {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// For the handshake of TLS and the header, and for the answer to be taken.
constexpr std::chrono::seconds kPatience(10);
constexpr uint32_t kMaxHeaderBytes = 16 << 10;

std::string Text(boost::beast::string_view text) {
  return std::string(text.data(), text.size());
}

// All values of a header that may be given several times, in order.
std::string Joined(const HttpConnection::Message& message, const char* name) {
  std::string values;
  const auto range = message.equal_range(name);
  for (auto at = range.first; at != range.second; ++at) {
    absl::StrAppend(&values, values.empty() ? "" : ",", Text(at->value()));
  }
  return values;
}

const char* HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return "400 Bad Request";
    case absl::StatusCode::kPermissionDenied:
      return "403 Forbidden";
    case absl::StatusCode::kNotFound:
      return "404 Not Found";
    case absl::StatusCode::kUnimplemented:
      return "501 Not Implemented";
    case absl::StatusCode::kUnavailable:
      return "503 Service Unavailable";
    default:
      return "500 Internal Server Error";
  }
}

}  // namespace

HttpConnection::HttpConnection(AnyStream::Socket socket,
                               asio::ssl::context* tls, Handler on_request,
                               std::function<void()> on_end)
    : stream_(std::make_shared<AnyStream>(std::move(socket), tls)),
      on_request_(std::move(on_request)),
      on_end_(std::move(on_end)),
      timer_(stream_->get_executor()),
      buffer_(kMaxHeaderBytes) {
  parser_.header_limit(kMaxHeaderBytes);
}

HttpConnection::~HttpConnection() { End(); }

void HttpConnection::StartTimer() {
  timer_.expires_after(kPatience);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->Close();
  });
}

void HttpConnection::Start() {
  StartTimer();
  stream_->async_handshake([self = shared_from_this()](error_code error) {
    if (error) return self->Close();
    self->ReadHeader();
  });
}

void HttpConnection::Close() {
  End();
  timer_.cancel();
  stream_->close();
}

std::shared_ptr<AnyStream> HttpConnection::Release() {
  End();
  timer_.cancel();
  return stream_;
}

void HttpConnection::End() {
  const auto on_end = std::exchange(on_end_, nullptr);
  if (on_end != nullptr) on_end();
}

void HttpConnection::ReadHeader() {
  http::async_read_header(
      *stream_, buffer_, parser_,
      [self = shared_from_this()](error_code error, size_t) {
        self->OnHeader(error);
      });
}

void HttpConnection::OnHeader(error_code error) {
  // What is not about the header is the connection's.
  const auto& http_errors = http::make_error_code(http::error::header_limit);
  if (error && (error.category() != http_errors.category() ||
                error == http::error::end_of_stream ||
                error == http::error::partial_message)) {
    return Close();
  }
  timer_.cancel();
  if (error) {
    return Refuse(absl::InvalidArgumentError(
        absl::StrCat("the request's header is none that this server takes: ",
                     error.message())));
  }
  if (parser_.content_length().value_or(0) != 0 || parser_.chunked()) {
    return Refuse(absl::InvalidArgumentError("the request has a body"));
  }
  on_request_(shared_from_this());
}

UpgradeRequest HttpConnection::request() const {
  const Message& message = parser_.get();
  UpgradeRequest request;
  request.method = Text(message.method_string());
  request.target = Text(message.target());
  request.connection = Joined(message, "Connection");
  request.upgrade = Joined(message, "Upgrade");
  request.stream_protocols =
      SplitList(Joined(message, "X-Stream-Protocol-Version"));
  request.websocket_protocols =
      SplitList(Joined(message, "Sec-WebSocket-Protocol"));
  return request;
}

std::string HttpConnection::rest() const {
  const auto data = buffer_.data();
  return std::string(static_cast<const char*>(data.data()), data.size());
}

void HttpConnection::SwitchToSpdy(const std::string& protocol,
                                  std::function<void()> done) {
  Answer(absl::StrCat("HTTP/1.1 101 Switching Protocols\r\n"
                      "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                      "X-Stream-Protocol-Version: ",
                      protocol, "\r\n\r\n"),
         std::move(done));
}

void HttpConnection::Refuse(const absl::Status& status) {
  const std::string body = absl::StrCat(status.message(), "\n");
  Answer(absl::StrCat("HTTP/1.1 ", HttpStatus(status.code()),
                      "\r\nConnection: close\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n"
                      "X-Content-Type-Options: nosniff\r\nContent-Length: ",
                      body.size(), "\r\n\r\n", body),
         [this] {
           stream_->ShutdownSend();
           StartTimer();
           Drain();
         });
}

// The client may send on, and closing at once would take the answer from it.
void HttpConnection::Drain() {
  buffer_.consume(buffer_.size());
  stream_->async_read_some(
      buffer_.prepare(1024),
      [self = shared_from_this()](error_code error, size_t) {
        if (error) return self->Close();
        self->Drain();
      });
}

void HttpConnection::Answer(std::string text, std::function<void()> done) {
  StartTimer();
  answer_ = std::move(text);
  asio::async_write(*stream_, asio::buffer(answer_),
                    [self = shared_from_this(), done = std::move(done)](
                        error_code error, size_t) {
                      if (error) return self->Close();
                      self->timer_.cancel();
                      done();
                    });
}

}  // namespace serai::cri::streaming
