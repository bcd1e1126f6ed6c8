// SPDX-License-Identifier: Apache-2.0
#pragma once

// The shim's child processes and who wants to know of their end. Used by the
// shim's loop only.

#include <sys/types.h>

#include <functional>
#include <map>

namespace serai::shim {

class Children {
 public:
  // Given waitpid(2)'s status.
  using OnEnd = std::function<void(int wait_status)>;

  // Calls `on_end` once, when the child was reaped by Reap(). Whoever reaps a
  // child by itself Forget()s it before.
  void Add(pid_t pid, OnEnd on_end) { watched_[pid] = std::move(on_end); }
  void Forget(pid_t pid) { watched_.erase(pid); }

  // Reaps every child that has ended, also those that nobody asks for: what a
  // tender left behind. On SIGCHLD.
  void Reap();

 private:
  std::map<pid_t, OnEnd> watched_;
};

}  // namespace serai::shim
