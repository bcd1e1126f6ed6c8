// SPDX-License-Identifier: Apache-2.0
#pragma once

// While one lives, the first SIGINT or SIGTERM does not end the program but is
// remembered, so that what was made can be unmade; a second one ends it. One at
// a time, on the main thread.

#include <csignal>

namespace serai::cli {

class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // Whether one came.
  bool Raised() const;

 private:
  struct sigaction old_int_ = {};
  struct sigaction old_term_ = {};
};

}  // namespace serai::cli
