// SPDX-License-Identifier: Apache-2.0
#pragma once

// The thread that serves the network ring. It sleeps until the guest kicks,
// unless the next entry is likely to come sooner than a kick would be served.
// Signals are the other thread's, and so is the end: this one has it told of a
// breach by Request::kRing.

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "tender/counters.h"
#include "tender/filter.h"
#include "tender/hvt/ring.h"

namespace serai::tender::hvt {

class RingThread {
 public:
  // By which it asks the other thread to end the guest.
  static constexpr int kSignal = SIGURG;

  // Borrows both. KVM turns the guest's kicks into events from here on.
  RingThread(Ring* ring, int vm_fd, Counters* counters);

  // Starts it and waits until all it still needs of the kernel is what Bind()
  // adds to the policy. Once, before the policy applies.
  void Start();
  void Bind(Bindings* bindings) const;

  // A kick that KVM has not served.
  void Kick();

  // At the guest's end: has the entries served that are there, for a bounded
  // time.
  void Finish();

 private:
  [[noreturn]] void Run();
  bool ServeAll();
  bool Spin();
  void Sleep();
  void AwaitKick();

  Ring* ring_;
  Counters* counters_;
  pid_t pid_;
  int event_fd_;
  std::atomic<uint32_t> started_ = 0;
  std::atomic<uint32_t> finishing_ = 0;
  std::atomic<uint32_t> finished_ = 0;
  uint64_t max_spin_;  // ns
  uint64_t spin_ = 0;  // ns
};

}  // namespace serai::tender::hvt
