// SPDX-License-Identifier: Apache-2.0
#pragma once

// One of the streams of bytes, both ways, that a client has over one
// connection: what attach and port-forward see of SPDY and WebSocket. Used on
// the server's thread only. Its user holds it; it outlives its connection, but
// nothing happens on it then.

#include <functional>
#include <string>

namespace serai::cri::streaming {

class Stream {
 public:
  using Done = std::function<void()>;
  using Got = std::function<void(std::string)>;

  virtual ~Stream() = default;

  // Sends `data`. Calls `done`, later, when the connection has taken it and
  // wants more; only then may Write be called again. Nobody buffers for a slow
  // peer.
  virtual void Write(std::string data, Done done) = 0;
  // Nothing more is sent after what was written; reading goes on.
  virtual void CloseWrite() = 0;
  // Ends both directions at once; what was not sent yet is dropped.
  virtual void Reset() = 0;

  // Calls `got` once, now or later, with what the client sent; with an empty
  // string when no more comes. Not again before `got` was called.
  virtual void Read(Got got) = 0;
  // Instead of reading: what comes is forgotten.
  virtual void Discard() = 0;

  // `aborted` is called once when the client resets the stream or is gone. The
  // callbacks of Read and Write that wait then are dropped. Replaces the one
  // before it. Not called after Reset, nor kept when the stream is over
  // already: it mostly holds who holds the stream.
  virtual void OnAbort(Done aborted) = 0;
};

}  // namespace serai::cri::streaming
