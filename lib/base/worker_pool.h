// SPDX-License-Identifier: Apache-2.0
#pragma once

// Does pieces of work that may block beside each other, on threads that are
// made when there is work and end when there is none. Any thread.

#include <functional>
#include <memory>

namespace serai {

class WorkerPool {
 public:
  // At most `max_threads` pieces at a time; others wait for their turn.
  explicit WorkerPool(int max_threads);
  // Waits for what is under way; what has not begun is dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Returns at once; only when the machine has no thread left, and none works
  // here, as soon as there is one.
  void Run(std::function<void()> work);

  // Until all work is done, what it added as well. Not from within it.
  void WaitUntilIdle();

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace serai
