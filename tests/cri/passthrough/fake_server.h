// SPDX-License-Identifier: Apache-2.0
#pragma once

// A server in containerd's place that knows no method: it writes down what it
// is sent, and answers as it was told to.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace serai::testing {

using Metadata = std::multimap<std::string, std::string>;

struct Reply {
  Metadata initial;
  std::vector<std::string> messages;
  Metadata trailing;
  grpc::Status status;
  bool hold = false;  // no end until the call is cancelled
};

struct Received {
  std::string method;
  std::vector<std::string> messages;
  Metadata metadata;
  std::chrono::system_clock::time_point deadline;
  bool cancelled = false;
};

grpc::ByteBuffer BufferOf(const std::string& bytes);
std::string BytesOf(const grpc::ByteBuffer& buffer);

class FakeServer final {
 public:
  explicit FakeServer(std::string socket) : socket_(std::move(socket)) {}
  ~FakeServer() { Stop(); }

  void Start();
  void Stop();

  // For each call of `method` from now on. Others are UNIMPLEMENTED.
  void On(const std::string& method, Reply reply);
  // The calls so far, in the order of their ends.
  std::vector<Received> received() const;
  // Waits until so many have come.
  bool WaitFor(size_t calls, absl::Duration patience = absl::Seconds(20)) const;
  // How many messages of answers were taken from it.
  int written() const;
  // Waits until so many are held.
  bool WaitForHeld(int calls) const;

 private:
  class Call;
  class Service;

  const std::string socket_;
  std::unique_ptr<grpc::CallbackGenericService> service_;  // of one server
  std::unique_ptr<grpc::Server> server_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Reply> replies_ ABSL_GUARDED_BY(mutex_);
  std::vector<Received> received_ ABSL_GUARDED_BY(mutex_);
  int held_ ABSL_GUARDED_BY(mutex_) = 0;
  int written_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace serai::testing
