// SPDX-License-Identifier: Apache-2.0
#pragma once

// Something that happens once. Like absl::Notification, but a wait with a
// timeout goes by the monotonic clock (lib/base/deadline.h), in every version
// of abseil. Any thread.

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace serai {

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // The first call counts.
  void Notify() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = true;
    condition_.notify_all();
  }

  bool HasBeenNotified() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return happened_;
  }

  void WaitForNotification() const {
    std::unique_lock<std::mutex> lock(mutex_);
    condition_.wait(lock, [this] { return happened_; });
  }

  // Whether it has happened, at the latest after `timeout`.
  bool WaitForNotificationWithTimeout(absl::Duration timeout) const {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto happened = [this] { return happened_; };
    // The library adds this to the present time: it must not overflow.
    constexpr absl::Duration kLongest = absl::Hours(24 * 365);
    if (timeout > kLongest) timeout = kLongest;
    return condition_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                               happened);
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable condition_;
  bool happened_ = false;
};

}  // namespace serai
