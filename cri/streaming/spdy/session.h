// SPDX-License-Identifier: Apache-2.0
#pragma once

// A SPDY/3.1 session as the server has it, without its connection: bytes go in
// and come out. Its clients are kubelet, crictl and kubectl, all of whom use
// moby/spdystream, and whoever else has been given a token, who is hostile.
//
// Flow control. spdystream sends no WINDOW_UPDATE and heeds none. So windows
// bind what we send only once the peer has shown that it knows of them, by a
// WINDOW_UPDATE or a setting; what binds it before is TCP. What the peer may
// send is bound by wants_input() turning false, and by WINDOW_UPDATEs for who
// reads them.
//
// One thread.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "cri/streaming/spdy/frame.h"
#include "cri/streaming/spdy/header_block.h"
#include "cri/streaming/stream.h"
#include "lib/base/status.h"

namespace serai::cri::spdy {

// Open at a time; more are refused.
inline constexpr size_t kMaxStreams = 1024;
// Received and not yet taken by who reads the streams, all of them together.
inline constexpr size_t kMaxUnreadBytes = 128 << 10;

class SpdyStream;

class Session {
 public:
  class Host {
   public:
    virtual ~Host() = default;
    // Bytes for the peer. `done`, which may be null, is called, later, when the
    // connection has taken them.
    virtual void Send(std::string bytes, streaming::Stream::Done done) = 0;
    // The peer has opened a stream. Who does not want it resets it.
    virtual void OnStream(std::shared_ptr<streaming::Stream> stream,
                          uint32_t id, const Headers& headers) = 0;
    // wants_input() is true again.
    virtual void OnReadable() = 0;
  };

  // `host` must outlive the session.
  explicit Session(Host& host) : host_(host) {}
  ~Session() { Abort(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes what the peer sent. INVALID_ARGUMENT when the session can't go on;
  // the peer has been told, and only Abort() is left.
  absl::Status Receive(absl::string_view bytes);

  // False while streams have more unread than they should. What is given to
  // Receive() all the same is taken.
  bool wants_input() const { return unread_ < kMaxUnreadBytes; }

  // Tells the peer that no more streams are taken.
  void GoAway();

  // The connection is gone: every stream is told so.
  void Abort();

  size_t open_streams() const { return streams_.size(); }
  size_t unread() const { return unread_; }

 private:
  friend class SpdyStream;

  absl::Status ReceiveItems(absl::string_view bytes);
  absl::Status OnControl(const ControlFrame& frame);
  absl::Status OnSynStream(const ControlFrame& frame);
  absl::Status OnHeaders(const ControlFrame& frame);
  absl::Status OnSettings(const ControlFrame& frame);
  absl::Status OnWindowUpdate(const ControlFrame& frame);
  absl::Status OnData(const DataPiece& piece);
  void OnReset(uint32_t id);
  std::shared_ptr<SpdyStream> Find(uint32_t id) const;
  // Lets streams send that wait for a window.
  void Pump();
  // `size` bytes of `stream` were taken, or dropped.
  void Consumed(SpdyStream& stream, size_t size);
  void Acknowledge(size_t size);
  // Forgets the stream: it is closed both ways, or reset.
  void Remove(SpdyStream& stream);

  Host& host_;
  FrameDecoder decoder_;
  HeaderDecoder header_decoder_;
  HeaderEncoder header_encoder_;
  std::map<uint32_t, std::shared_ptr<SpdyStream>> streams_;
  uint32_t last_stream_ = 0;
  size_t unread_ = 0;
  size_t unacknowledged_ = 0;  // taken, but not yet in a WINDOW_UPDATE
  bool going_away_ = false;
  // The peer's windows, and whether it has shown that it means them.
  bool stream_windows_ = false;
  bool session_window_ = false;
  int64_t initial_window_ = 64 << 10;
  int64_t window_ = 64 << 10;  // the session's
};

}  // namespace serai::cri::spdy
