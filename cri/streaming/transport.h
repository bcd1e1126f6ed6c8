// SPDX-License-Identifier: Apache-2.0
#pragma once

// A connection as bytes: TCP, TLS, or WebSocket messages that carry SPDY. Used
// on the server's thread only. Callbacks come later, never from inside a call;
// after Close() they come with an error.

#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <vector>

namespace serai::cri::streaming {

class Transport {
 public:
  virtual ~Transport() = default;

  // At least one byte, or an error. One at a time; `buffer` stays valid.
  virtual void ReadSome(
      boost::asio::mutable_buffer buffer,
      std::function<void(boost::system::error_code, size_t)> done) = 0;
  // All of it. One at a time; what the buffers point to stays valid.
  virtual void Write(const std::vector<boost::asio::const_buffer>& buffers,
                     std::function<void(boost::system::error_code)> done) = 0;
  // Nothing more is sent; the peer sees an end.
  virtual void ShutdownSend() = 0;
  virtual void Close() = 0;
};

}  // namespace serai::cri::streaming
