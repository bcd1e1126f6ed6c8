// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/websocket.h"

#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <utility>

#include "cri/streaming/any_stream.h"

namespace serai::cri::streaming {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

// What Beast does when a WebSocket is closed, or takes too long; it finds them
// by their names.
void beast_close_socket(AnyStream& stream) { stream.close(); }

void teardown(beast::role_type, AnyStream& stream, error_code& error) {
  error = {};
  stream.ShutdownSend();
}

template <typename Handler>
void async_teardown(beast::role_type, AnyStream& stream, Handler&& handler) {
  stream.ShutdownSend();
  boost::asio::post(stream.get_executor(),
                    [handler = std::forward<Handler>(handler)]() mutable {
                      handler(error_code());
                    });
}

struct WebSocket::Impl {
  Impl(std::shared_ptr<AnyStream> any, std::shared_ptr<const void> held)
      : stream(std::move(any)), slot(std::move(held)), socket(*stream) {}

  const std::shared_ptr<AnyStream> stream;
  const std::shared_ptr<const void> slot;
  websocket::stream<AnyStream&, /*deflateSupported=*/false> socket;
};

WebSocket::WebSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

WebSocket::~WebSocket() = default;

void WebSocket::Accept(const std::shared_ptr<HttpConnection>& connection,
                       const std::string& protocol,
                       std::shared_ptr<const void> slot,
                       std::function<void(std::shared_ptr<WebSocket>)> done) {
  const std::shared_ptr<WebSocket> self(new WebSocket(
      std::make_unique<Impl>(connection->Release(), std::move(slot))));
  auto& socket = self->impl_->socket;
  websocket::stream_base::timeout timeout;
  timeout.handshake_timeout = std::chrono::seconds(10);
  timeout.idle_timeout = websocket::stream_base::none();
  timeout.keep_alive_pings = false;
  socket.set_option(timeout);
  if (!protocol.empty()) {
    socket.set_option(websocket::stream_base::decorator(
        [protocol](websocket::response_type& response) {
          response.set("Sec-WebSocket-Protocol", protocol);
        }));
  }
  // Who reads bounds messages itself.
  socket.read_message_max(0);
  socket.binary(true);
  socket.auto_fragment(false);
  socket.async_accept(
      connection->message(),
      [self, connection, done = std::move(done)](error_code error) {
        if (error) return self->Close();
        done(self);
      });
}

boost::asio::any_io_executor WebSocket::executor() {
  return impl_->stream->get_executor();
}

void WebSocket::ReadPiece(boost::asio::mutable_buffer buffer,
                          std::function<void(error_code, size_t)> done) {
  impl_->socket.async_read_some(
      buffer, [self = shared_from_this(), done = std::move(done)](
                  error_code error, size_t n) { done(error, n); });
}

bool WebSocket::message_done() const { return impl_->socket.is_message_done(); }

void WebSocket::UseText() { impl_->socket.text(true); }

void WebSocket::ReadSome(boost::asio::mutable_buffer buffer,
                         std::function<void(error_code, size_t)> done) {
  ReadPiece(buffer, [self = shared_from_this(), buffer, done = std::move(done)](
                        error_code error, size_t n) {
    if (!error && n == 0) return self->ReadSome(buffer, done);
    done(error, n);
  });
}

void WebSocket::Write(const std::vector<boost::asio::const_buffer>& buffers,
                      std::function<void(error_code)> done) {
  impl_->socket.async_write(buffers,
                            [self = shared_from_this(), done = std::move(done)](
                                error_code error, size_t) { done(error); });
}

void WebSocket::ShutdownSend() {
  impl_->socket.async_close(websocket::close_code::normal,
                            [self = shared_from_this()](error_code) {});
}

void WebSocket::Close() { impl_->stream->close(); }

}  // namespace serai::cri::streaming
