// SPDX-License-Identifier: Apache-2.0
#pragma once

// The calling end of a ttrpc connection, for a single-threaded program: driven
// by an EventLoop, never blocking. client.h is the one for programs with
// threads.
//
//   ASSIGN_OR_RETURN(auto client, ttrpc::LoopClient::Connect(*loop, address));
//   client->Call("service", "Method", request, absl::Seconds(5),
//                [&](absl::StatusOr<std::string> answer) { … });
//
// When the connection breaks, every call that is under way and every later one
// fails with UNAVAILABLE; a client is not reconnected, a new one is made.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/frame.h"

namespace serai::ttrpc {

class LoopClient {
 public:
  // Given a call's outcome, once, from the loop. May destroy the client.
  using Callback = std::function<void(absl::StatusOr<std::string>)>;

  // Connects to the socket at `address`: a path, or unix:// and a path.
  // UNAVAILABLE when nobody listens there, there is no such socket, or the
  // server is too busy to take one more. `loop` outlives the client.
  static absl::StatusOr<std::unique_ptr<LoopClient>> Connect(
      EventLoop& loop, absl::string_view address);

  // Closes the connection. Callbacks that have not run are never called.
  ~LoopClient();
  LoopClient(const LoopClient&) = delete;
  LoopClient& operator=(const LoopClient&) = delete;

  // Queues the call and returns; `done` is called later, whatever happens:
  // with DEADLINE_EXCEEDED when there is no answer within `timeout` (the call
  // may still have taken place).
  void Call(absl::string_view service, absl::string_view method,
            absl::string_view request, absl::Duration timeout, Callback done);

 private:
  struct Pending {
    Callback done;
    EventLoop::TimerId timer;
  };

  LoopClient(EventLoop& loop, UniqueFd socket);

  void OnEvents(uint32_t events);
  // Both return false when the connection is broken.
  bool Send();
  bool Receive();
  void TakeAnswers();
  // Calls the callback of `stream`, and nothing after it: it may destroy this.
  void Complete(uint32_t stream, absl::StatusOr<std::string> outcome);
  void Break(const absl::Status& why);

  EventLoop& loop_;
  const UniqueFd socket_;
  bool open_ = true;
  bool sending_ = false;  // the loop watches for room to send
  std::string unsent_;
  FrameDecoder decoder_;
  uint32_t next_stream_ = 1;
  std::map<uint32_t, Pending> pending_;
  // Gone with the client: what tells a function that a callback destroyed it.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace serai::ttrpc
