// SPDX-License-Identifier: Apache-2.0
#pragma once

// A SPDY/3.1 client for tests, as kubelet's: with frames and zlib of its own,
// so that a mistake of the server's is not made here as well. Like
// moby/spdystream it sends no WINDOW_UPDATE unless it is told to. One thread;
// what arrives is handled while something is waited for.

#include <zlib.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/byte_channel.h"

namespace serai::testing {

class SpdyClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  struct Stream {
    uint32_t id = 0;
    bool replied = false;
    bool ended = false;  // by the server's FIN
    int reset = 0;       // the status of the server's RST_STREAM
    uint64_t size = 0;   // of what came
    std::string data;    // it, unless there is a sink
    std::function<void(absl::string_view)> sink;
    bool over() const { return ended || reset != 0; }
  };

  // Upgrades a connection to the URL, offering the protocols. UNAVAILABLE with
  // the server's answer when it refuses.
  static absl::StatusOr<std::unique_ptr<SpdyClient>> Connect(
      const std::string& url, const std::vector<std::string>& protocols,
      const TlsFiles& files = {});
  // On a channel that carries SPDY already.
  explicit SpdyClient(std::unique_ptr<ByteChannel> channel);
  ~SpdyClient();
  SpdyClient(const SpdyClient&) = delete;
  SpdyClient& operator=(const SpdyClient&) = delete;

  // The one that the server chose.
  const std::string& protocol() const { return protocol_; }
  ByteChannel& channel() { return *channel_; }

  // Opens a stream and waits for the answer.
  absl::StatusOr<std::shared_ptr<Stream>> Open(const Headers& headers);
  absl::Status Write(const Stream& stream, absl::string_view data,
                     bool fin = false);
  absl::Status Reset(const Stream& stream);
  absl::Status SendWindowUpdate(uint32_t stream, uint32_t delta);
  absl::Status SendSettingsWindow(uint32_t window);
  absl::Status Ping(uint32_t id);

  // Handles what comes until `done`; DEADLINE_EXCEEDED, or UNAVAILABLE when the
  // connection ends first.
  absl::Status PumpUntil(const std::function<bool()>& done,
                         absl::Duration timeout = absl::Seconds(30));
  // All data of a stream, after the server has ended it.
  absl::StatusOr<std::string> ReadToEnd(
      Stream& stream, absl::Duration timeout = absl::Seconds(30));

  bool went_away() const { return went_away_; }
  bool closed() const { return closed_; }
  const std::vector<uint32_t>& pings() const { return pings_; }
  // Of WINDOW_UPDATEs, by stream.
  const std::map<uint32_t, uint64_t>& credits() const { return credits_; }

  // A header block as this session's next one.
  std::string Compress(const std::string& block);
  static std::string Block(const Headers& headers);
  static std::string ControlFrame(int type, int flags,
                                  const std::string& payload);
  // Sends, and handles what comes while the server is slow to take it.
  absl::Status Send(absl::string_view bytes);

 private:
  absl::Status Pump(absl::Duration timeout);
  void TakeFrames();
  void OnControl(int type, int flags, absl::string_view payload);
  void OnData(uint32_t id, int flags, absl::string_view data);

  std::unique_ptr<ByteChannel> channel_;
  std::string protocol_;
  std::string received_;
  z_stream deflate_ = {};
  uint32_t next_id_ = 1;
  std::map<uint32_t, std::shared_ptr<Stream>> streams_;
  std::vector<uint32_t> pings_;
  std::map<uint32_t, uint64_t> credits_;
  bool went_away_ = false;
  bool closed_ = false;
};

}  // namespace serai::testing
