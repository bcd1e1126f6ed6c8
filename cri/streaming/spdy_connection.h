// SPDX-License-Identifier: Apache-2.0
#pragma once

// A SPDY session on its connection: reads while the session wants input, writes
// in the order of sending, ends when the client does, when its service has
// finished, or when nothing has happened for hours. Lives as long as it has
// something to do. Used on the server's thread only.

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/service.h"
#include "cri/streaming/spdy/session.h"
#include "cri/streaming/transport.h"

namespace serai::cri::streaming {

class SpdyConnection final
    : public spdy::Session::Host,
      public std::enable_shared_from_this<SpdyConnection> {
 public:
  SpdyConnection(const boost::asio::any_io_executor& executor,
                 std::shared_ptr<Transport> transport,
                 std::shared_ptr<Service> service);
  ~SpdyConnection() override;

  // `first` are bytes that came with the request.
  void Start(const std::string& first);

  // Session::Host.
  void Send(std::string bytes, Stream::Done done) override;
  void OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                const spdy::Headers& headers) override;
  void OnReadable() override { Read(); }

 private:
  struct Piece {
    std::string bytes;
    Stream::Done done;
  };

  void Receive(absl::string_view bytes);
  void Read();
  void Write();
  void OnWritten();
  // No more streams; what is queued is sent, then the connection is closed.
  void Finish();
  void ShutdownIfFinished();
  void EndService();
  void Close();
  void CheckIdle();

  const std::shared_ptr<Transport> transport_;
  const std::shared_ptr<Service> service_;
  spdy::Session session_;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point last_active_;

  std::array<char, 16 << 10> buffer_;
  bool reading_ = false;
  std::deque<Piece> queue_;
  std::vector<Piece> in_flight_;
  // Of answers: what nobody waits for, and so nobody holds back.
  size_t unwaited_bytes_ = 0;
  bool finishing_ = false;
  bool shut_down_ = false;
  bool service_ended_ = false;
  bool closed_ = false;
};

}  // namespace serai::cri::streaming
