// SPDX-License-Identifier: Apache-2.0
#include "lib/base/worker_pool.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace serai {
namespace {

constexpr std::chrono::milliseconds kThreadPause(10);

}  // namespace

// Shared with the threads, which look at it last when the pool may be gone.
struct WorkerPool::State {
  explicit State(int max) : max_threads(max) {}

  const int max_threads;
  std::mutex mutex;
  std::condition_variable idle;
  std::deque<std::function<void()>> waiting;
  int threads = 0;

  // Works until nothing waits. One of `threads`.
  void Work() {
    std::unique_lock<std::mutex> lock(mutex);
    while (!waiting.empty()) {
      std::function<void()> work = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      work();
      work = nullptr;  // what it holds may take time, or the lock, to let go
      lock.lock();
    }
    --threads;
    if (threads == 0) idle.notify_all();
  }
};

WorkerPool::WorkerPool(int max_threads)
    : state_(std::make_shared<State>(max_threads)) {}

WorkerPool::~WorkerPool() {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->waiting.clear();
  state_->idle.wait(lock, [this] { return state_->threads == 0; });
}

void WorkerPool::Run(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->waiting.push_back(std::move(work));
    if (state_->threads == state_->max_threads) return;
    ++state_->threads;
  }
  for (;;) {
    try {
      return std::thread([state = state_] { state->Work(); }).detach();
    } catch (const std::system_error&) {
      const std::lock_guard<std::mutex> lock(state_->mutex);
      if (state_->threads > 1) {
        --state_->threads;
        return;  // those that are there will do it
      }
    }
    std::this_thread::sleep_for(kThreadPause);
  }
}

void WorkerPool::WaitUntilIdle() {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->idle.wait(lock, [this] { return state_->threads == 0; });
}

}  // namespace serai
