// SPDX-License-Identifier: Apache-2.0
#pragma once

// A TCP or TLS connection as it is.

#include <memory>
#include <utility>
#include <vector>

#include "cri/streaming/any_stream.h"
#include "cri/streaming/transport.h"

namespace serai::cri::streaming {

class SocketTransport final : public Transport {
 public:
  // The stream is shared with the operations that are under way. `slot` is held
  // as long as the transport is there.
  SocketTransport(std::shared_ptr<AnyStream> stream,
                  std::shared_ptr<const void> slot)
      : stream_(std::move(stream)), slot_(std::move(slot)) {}

  void ReadSome(
      boost::asio::mutable_buffer buffer,
      std::function<void(boost::system::error_code, size_t)> done) override;
  void Write(const std::vector<boost::asio::const_buffer>& buffers,
             std::function<void(boost::system::error_code)> done) override;
  void ShutdownSend() override;
  void Close() override { stream_->close(); }

 private:
  const std::shared_ptr<AnyStream> stream_;
  const std::shared_ptr<const void> slot_;
};

}  // namespace serai::cri::streaming
