// SPDX-License-Identifier: Apache-2.0
#pragma once

// A WebSocket (RFC 6455) as the server has it: Beast's, behind what the others
// need of it. No compression. Used on the server's thread only; callbacks come
// later, never from inside a call.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/http_connection.h"
#include "cri/streaming/transport.h"

namespace serai::cri::streaming {

class WebSocket final : public Transport,
                        public std::enable_shared_from_this<WebSocket> {
 public:
  // Answers the request. `protocol` may be empty; `slot` is held as long as the
  // connection is there. `done` is given the WebSocket when it stands.
  static void Accept(const std::shared_ptr<HttpConnection>& connection,
                     const std::string& protocol,
                     std::shared_ptr<const void> slot,
                     std::function<void(std::shared_ptr<WebSocket>)> done);
  ~WebSocket() override;

  boost::asio::any_io_executor executor();

  // A piece of a message, which may be empty; an error at the end. Afterwards
  // whether it was the message's last.
  void ReadPiece(boost::asio::mutable_buffer buffer,
                 std::function<void(boost::system::error_code, size_t)> done);
  bool message_done() const;

  // Sends text messages from now on.
  void UseText();

  // Transport: messages are pieces of a stream of bytes, whatever their cuts.
  void ReadSome(
      boost::asio::mutable_buffer buffer,
      std::function<void(boost::system::error_code, size_t)> done) override;
  // One message.
  void Write(const std::vector<boost::asio::const_buffer>& buffers,
             std::function<void(boost::system::error_code)> done) override;
  // Tells the peer that the connection closes, in order. Reads end with an
  // error when it has answered.
  void ShutdownSend() override;
  void Close() override;

 private:
  struct Impl;
  explicit WebSocket(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace serai::cri::streaming
