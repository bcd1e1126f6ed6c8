// SPDX-License-Identifier: Apache-2.0
#pragma once

// Work that several callers want at the same time is done by one of them, while
// the others wait for their turn, and then find it done. Where the first fails,
// or is cancelled, the next one tries: a caller fails by its own doing only.

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::cri {

// Any method from any thread.
class Turns {
 public:
  // Of one caller; ends with it. Must not outlive the turns.
  class Turn {
   public:
    Turn(Turn&& other) noexcept
        : turns_(std::exchange(other.turns_, nullptr)),
          key_(std::move(other.key_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->End(key_);
    }

   private:
    friend class Turns;
    Turn(Turns* turns, std::string key) : turns_(turns), key_(std::move(key)) {}
    Turns* turns_;
    std::string key_;
  };

  // Waits until nobody else has the turn of `key`. `cancelled` is asked
  // meanwhile, some ten times a second; true is CANCELLED. It may be empty.
  absl::StatusOr<Turn> Take(const std::string& key,
                            const std::function<bool()>& cancelled) {
    const absl::MutexLock lock(&mutex_);
    while (!taken_.insert(key).second) {
      if (cancelled && cancelled()) {
        return absl::CancelledError("cancelled while another did the same");
      }
      ended_.WaitWithTimeout(&mutex_, absl::Milliseconds(100));
    }
    return Turn(this, key);
  }

 private:
  void End(const std::string& key) {
    const absl::MutexLock lock(&mutex_);
    taken_.erase(key);
    ended_.SignalAll();
  }

  absl::Mutex mutex_;
  absl::CondVar ended_;
  std::set<std::string> taken_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
