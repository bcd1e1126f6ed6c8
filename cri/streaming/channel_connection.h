// SPDX-License-Identifier: Apache-2.0
#pragma once

// A WebSocket with channels (*.channel.k8s.io) for a service: the channels are
// there from the beginning, in both directions as their kind is. There is no
// flow control but TCP's: while too much is unread nothing is read from the
// client. Lives as long as it has something to do. Used on the server's thread
// only.

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/channel_message.h"
#include "cri/streaming/service.h"
#include "cri/streaming/websocket.h"

namespace serai::cri::streaming {

class Channel;

class ChannelConnection final
    : public std::enable_shared_from_this<ChannelConnection> {
 public:
  // Channel i is given to the service with the headers at i; one without
  // headers is ignored.
  ChannelConnection(std::shared_ptr<WebSocket> socket,
                    const ChannelProtocol& protocol,
                    std::shared_ptr<Service> service,
                    std::vector<spdy::Headers> channels);
  ~ChannelConnection();

  // `greetings` are sent first, one on each channel that has one.
  void Start(const std::vector<std::pair<uint8_t, std::string>>& greetings);

 private:
  friend class Channel;
  struct Piece {
    std::string bytes;
    Stream::Done done;
  };

  void Send(uint8_t channel, absl::string_view data, Stream::Done done);
  void Read();
  void OnRead(size_t size);
  // False for what ends the connection.
  bool OnMessage(absl::string_view message);
  void Consumed(size_t size);
  void Write();
  void Finish();
  void ShutdownIfFinished();
  void Close();
  void CheckIdle();

  const std::shared_ptr<WebSocket> socket_;
  const ChannelProtocol protocol_;
  const std::shared_ptr<Service> service_;
  const std::vector<spdy::Headers> headers_;
  std::vector<std::shared_ptr<Channel>> channels_;  // null: ignored
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point last_active_;

  std::array<char, 16 << 10> buffer_;
  std::string message_;  // as far as it has come
  size_t unread_ = 0;
  bool reading_ = false;
  std::deque<Piece> queue_;
  bool writing_ = false;
  bool finishing_ = false;
  bool shut_down_ = false;
  bool closed_ = false;
};

}  // namespace serai::cri::streaming
