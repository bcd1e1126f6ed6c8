// SPDX-License-Identifier: Apache-2.0
#pragma once

// The answering end of ttrpc, for a single-threaded program: driven by an
// EventLoop, never blocking. A client that sends what is no frame, or does not
// take its answers, loses its connection; others don't notice.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/envelope.h"

namespace serai::ttrpc {

class Connection;

class Server {
 public:
  // Called once, at once or later; when the connection is gone by then, nothing
  // happens. May outlive the server.
  using Reply = std::function<void(absl::StatusOr<std::string>)>;
  // Called with each call that comes. UNIMPLEMENTED is the answer for a service
  // or method that is not known.
  using Handler = std::function<void(Call call, Reply reply)>;

  struct Limits {
    size_t connections = 128;  // more are closed when they come
    size_t calls = 1024;       // under way per connection; more are refused
    size_t unsent_bytes = 8 << 20;  // per connection; more and it is closed
    // Held for all connections, in and out; past it, who holds most is closed.
    size_t held_bytes = 16 << 20;
  };

  // `loop` must outlive the server.
  Server(EventLoop& loop, Handler handler, Limits limits);
  Server(EventLoop& loop, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves those who connect to `socket`, which is listening and non-blocking:
  // root and the user of this process; others are closed.
  absl::Status Listen(UniqueFd socket);

  // Serves one connected, non-blocking socket.
  absl::Status Serve(UniqueFd socket);

  size_t connection_count() const { return connections_.size(); }

 private:
  friend class Connection;
  void Accept();
  void Forget(const std::shared_ptr<Connection>& connection);
  // A connection holds so many bytes more, or less.
  void Account(size_t before, size_t now);

  EventLoop& loop_;
  const Handler handler_;
  const Limits limits_;
  UniqueFd listener_;
  EventLoop::TimerId resume_timer_ = 0;
  size_t held_bytes_ = 0;  // by all connections
  std::unordered_set<std::shared_ptr<Connection>> connections_;
};

}  // namespace serai::ttrpc
