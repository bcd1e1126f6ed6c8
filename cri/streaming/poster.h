// SPDX-License-Identifier: Apache-2.0
#pragma once

// Brings work from other threads to the server's. Held by who waits for an
// answer from elsewhere, which may come when the server is gone: then the work
// is dropped. Any thread.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace serai::cri::streaming {

class Poster {
 public:
  explicit Poster(boost::asio::io_context& io) : io_(&io) {}

  void Post(std::function<void()> work) {
    absl::MutexLock lock(&mutex_);
    if (io_ != nullptr) boost::asio::post(*io_, std::move(work));
  }

  void Close() {
    absl::MutexLock lock(&mutex_);
    io_ = nullptr;
  }

 private:
  absl::Mutex mutex_;
  boost::asio::io_context* io_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri::streaming
