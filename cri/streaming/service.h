// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is done with the streams of one connection: attach, or port-forward.
// Used on the server's thread only.

#include <cstdint>
#include <functional>
#include <memory>

#include "cri/streaming/spdy/header_block.h"
#include "cri/streaming/stream.h"

namespace serai::cri::streaming {

class Service {
 public:
  virtual ~Service() = default;

  // The client has opened a stream. `finish`, which Start was given, may be
  // called from here.
  virtual void OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                        const spdy::Headers& headers) = 0;

  // Before the first stream: `finish` ends the connection in order, once what
  // was written is sent. It may be called at any time, and again.
  virtual void Start(std::function<void()> finish) = 0;

  // The connection is gone. Nothing is called after it.
  virtual void OnClosed() = 0;
};

}  // namespace serai::cri::streaming
