// SPDX-License-Identifier: Apache-2.0
#pragma once

// The calling end of a ttrpc connection over a unix socket: many calls at a
// time, from any thread, on one connection. A thread of the client's own reads
// the answers, and sends what a server that is slow to read could not take at
// once.
//
//   ASSIGN_OR_RETURN(auto client, ttrpc::Client::Connect(path, deadline));
//   ASSIGN_OR_RETURN(std::string answer,
//                    client->Call("containerd.task.v2.Task", "State",
//                                 request.SerializeAsString(), deadline));
//
// An error that the server answers with is returned with its code and message.
// When the connection breaks, every call that is under way and every later one
// fails with UNAVAILABLE; a client is not reconnected, a new one is made.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/ttrpc/frame.h"

namespace serai::ttrpc {

class Client {
 public:
  // Given a call's outcome, once: the answer's bytes or the error. Runs on the
  // client's reading thread (or, when the connection is already broken, on the
  // caller's), so it must not block, and must not destroy the client.
  using Callback = std::function<void(absl::StatusOr<std::string>)>;

  // Connects to the socket at `address`: a path, or unix:// and a path.
  // UNAVAILABLE when nobody listens there, or there is no such socket;
  // DEADLINE_EXCEEDED when who listens there accepts no more connections.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      absl::string_view address);

  // Closes the connection. Calls under way fail with UNAVAILABLE; their
  // callbacks have run when this returns. No thread may be inside Call().
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Blocks until the answer, the deadline (DEADLINE_EXCEEDED; the call may
  // still take place at the server) or the end of the connection.
  absl::StatusOr<std::string> Call(absl::string_view service,
                                   absl::string_view method,
                                   absl::string_view request,
                                   absl::Time deadline);

  // Sends, or queues, and returns, also while the server reads nothing; `done`
  // is called later, whatever happens. Without a deadline: for Wait.
  // UNAVAILABLE when too much is queued already.
  void CallAsync(absl::string_view service, absl::string_view method,
                 absl::string_view request, Callback done);

  // False once the connection is broken. It does not become true again.
  bool connected() const { return connected_; }

 private:
  Client(UniqueFd socket, UniqueFd epoll);

  // Registers `done` under a new stream id; nullopt-like 0 when the connection
  // is broken (`done` is then untouched).
  uint32_t Register(Callback& done);
  absl::Status Send(uint32_t stream, absl::string_view service,
                    absl::string_view method, absl::string_view request,
                    absl::Duration timeout);
  // Sends what can be sent of `unsent_` now; the reader goes on with the rest.
  absl::Status Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(send_mutex_);
  void ReadAnswers();
  // False when the connection is broken.
  bool TakeAnswers(FrameDecoder& decoder);
  void Complete(Frame frame);
  // Shuts the socket down and fails all that is pending.
  void Break(const absl::Status& why);

  const UniqueFd socket_;
  const UniqueFd epoll_;  // what the reader waits for
  std::atomic<bool> connected_ = true;
  absl::Mutex send_mutex_;  // never held with mutex_, nor through a wait
  std::string unsent_ ABSL_GUARDED_BY(send_mutex_);  // frames
  bool blocked_ ABSL_GUARDED_BY(send_mutex_) = false;
  absl::Mutex mutex_;
  uint32_t next_stream_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint32_t, Callback> pending_ ABSL_GUARDED_BY(mutex_);
  std::thread reader_;
};

}  // namespace serai::ttrpc
