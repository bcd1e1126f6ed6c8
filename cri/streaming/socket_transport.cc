// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/socket_transport.h"

#include <boost/asio/write.hpp>
#include <utility>

namespace serai::cri::streaming {

using boost::system::error_code;

void SocketTransport::ReadSome(boost::asio::mutable_buffer buffer,
                               std::function<void(error_code, size_t)> done) {
  stream_->async_read_some(buffer,
                           [stream = stream_, done = std::move(done)](
                               error_code error, size_t n) { done(error, n); });
}

void SocketTransport::Write(
    const std::vector<boost::asio::const_buffer>& buffers,
    std::function<void(error_code)> done) {
  boost::asio::async_write(*stream_, buffers,
                           [stream = stream_, done = std::move(done)](
                               error_code error, size_t) { done(error); });
}

void SocketTransport::ShutdownSend() { stream_->ShutdownSend(); }

}  // namespace serai::cri::streaming
