// SPDX-License-Identifier: Apache-2.0
#pragma once

// Port-forward of one client's connection (portforward.k8s.io): each pair of
// streams, data and error, with the same request id is one TCP connection to
// the pod. Dials from the host's network namespace.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/streaming/backend.h"
#include "cri/streaming/service.h"

namespace serai::cri::streaming {

class ForwardedConnection;

class PortForward final : public Service,
                          public std::enable_shared_from_this<PortForward> {
 public:
  // To pods, of all clients together.
  static constexpr long kMaxForwarded = 4096;

  // `backend` outlives it. `forwarded` is shared by all: its copies are
  // counted. With `connections` the client can't open more, and the last one's
  // end is the end; 0 for a client that can.
  PortForward(const boost::asio::any_io_executor& executor, Backend& backend,
              std::string pod, size_t connections,
              std::shared_ptr<const int> forwarded)
      : executor_(executor),
        backend_(backend),
        pod_(std::move(pod)),
        connections_(connections),
        forwarded_(std::move(forwarded)) {}

  void Start(std::function<void()> finish) override {
    finish_ = std::move(finish);
  }
  // Headers: streamtype "data" or "error", port, and requestid.
  void OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                const spdy::Headers& headers) override;
  void OnClosed() override;

 private:
  // Of which one stream has yet to come.
  struct Pair {
    explicit Pair(const boost::asio::any_io_executor& executor)
        : timer(executor) {}
    std::shared_ptr<Stream> data;
    std::shared_ptr<Stream> error;
    boost::asio::steady_timer timer;
  };
  std::unique_ptr<Pair> NewPair(const std::string& request);
  // Null when it is not there any more.
  std::unique_ptr<Pair> TakePair(const std::string& request);
  void Expire(const std::string& request);
  void Forward(uint16_t port, const Pair& pair);
  // A connection is over, or could not be made.
  void OnEnd();

  const boost::asio::any_io_executor executor_;
  Backend& backend_;
  const std::string pod_;
  size_t connections_;
  const std::shared_ptr<const int> forwarded_;
  std::function<void()> finish_;
  std::map<std::string, std::unique_ptr<Pair>> pairs_;
  // The last bytes may be on their way to a pod when both streams are over,
  // and nothing tells the connection any more that the client is gone.
  std::vector<std::weak_ptr<ForwardedConnection>> open_;
};

}  // namespace serai::cri::streaming
