// SPDX-License-Identifier: Apache-2.0
#pragma once

// One TCP connection to a pod, and the client's streams for it. Copies both
// ways until both ends have closed theirs, at the pace of the slower side: of
// each direction one chunk is held, and nothing while it is quiet. What can't
// be connected is said on the error stream; a connection that breaks later, or
// whose pod takes nothing for minutes, resets the data stream, as TCP would
// tell. Holds itself while it goes on.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/stream.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

class ForwardedConnection final
    : public std::enable_shared_from_this<ForwardedConnection> {
 public:
  // How long a pod may take nothing of what it is sent. Meanwhile the client's
  // other streams wait, and so does the news that the client is gone.
  static constexpr std::chrono::minutes kStallTimeout{10};

  // `ended` is called when it is over, unless the client ends it, and held as
  // long as the connection is there.
  ForwardedConnection(
      const boost::asio::any_io_executor& executor, std::string pod,
      uint16_t port, std::shared_ptr<Stream> data,
      std::shared_ptr<Stream> error, std::function<void()> ended,
      std::chrono::steady_clock::duration stall_timeout = kStallTimeout);

  // Tries the addresses in order.
  void Start(absl::StatusOr<std::vector<std::string>> addresses);
  // The client is gone.
  void Close();

 private:
  void Dial();
  void OnDialled(boost::system::error_code error);
  void ReadClient();
  void WritePod();
  void OnPodRefuses();
  void WaitPod();
  void ReadPod();
  void OnPodEnd();
  // Something on the way broke.
  void Break(const char* what, boost::system::error_code error);
  void Fail(const std::string& why);
  void EndIfDone();

  const std::string pod_;
  const uint16_t port_;
  const std::shared_ptr<Stream> data_;
  const std::shared_ptr<Stream> error_;
  std::function<void()> ended_;
  const std::chrono::steady_clock::duration stall_timeout_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;  // of dialling, then of writing

  std::vector<std::string> addresses_;
  size_t next_address_ = 0;
  std::string failure_;  // why the addresses so far could not be connected
  std::string to_pod_;   // being written
  size_t written_ = 0;   // of it
  bool client_ended_ = false;
  bool pod_ended_ = false;
  bool refused_ = false;  // the pod, to take all that the client sent
  bool closed_ = false;
};

}  // namespace serai::cri::streaming
