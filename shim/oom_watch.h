// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tells when the kernel has killed a process of a cgroup for want of memory.
// Used by the shim's loop only.

#include <functional>
#include <memory>
#include <utility>

#include "lib/base/event_loop.h"
#include "lib/host/cgroup.h"

namespace serai::shim {

class OomWatch {
 public:
  // Calls `on_oom` from the loop, and from Look(), whenever the kernel's count
  // has risen since it was looked at. Where the kernel does not tell of it by
  // itself, which is logged, only Look() does. What it counted before is of no
  // matter. `on_oom` must not destroy the watch.
  OomWatch(EventLoop& loop, host::Cgroup cgroup, std::function<void()> on_oom);
  ~OomWatch();
  OomWatch(const OomWatch&) = delete;
  OomWatch& operator=(const OomWatch&) = delete;

  // Looks at the count now.
  void Look();

  // The last look, after the end of the process that this is about and before
  // that is told. `killed`: by a SIGKILL that nobody is known to have sent.
  // systemd removes a scope with its last process, often before its count can
  // be read: what else is known of want of memory is the answer then.
  void Finish(bool killed);

  // Whether anything was killed since the watch began.
  bool seen() const { return seen_; }

 private:
  void OnEvent();
  void ReadEvents();
  // v2, where parents count with their children. 0 on v1.
  uint64_t ParentsCount() const;
  // Of a cgroup that is gone.
  bool WasShort();
  void LookAgainLater(int times);

  EventLoop& loop_;
  const host::Cgroup cgroup_;
  const std::function<void()> on_oom_;
  host::OomEvents events_;
  EventLoop::TimerId timer_ = 0;  // 0: none
  uint64_t count_ = 0;
  uint64_t parents_count_ = 0;
  // v1: how often the kernel told of something, its last word, that of the
  // removal, among it.
  uint64_t events_told_ = 0;
  bool seen_ = false;
};

}  // namespace serai::shim
