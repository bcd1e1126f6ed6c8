// SPDX-License-Identifier: Apache-2.0
#pragma once

// A child of a test's own: does some work once it is told to, and is ended and
// reaped with the object.

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

class WaitingChild {
 public:
  // Runs `work` once it is told to Go().
  template <typename Work>
  explicit WaitingChild(Work work) {
    std::array<int, 2> fds{};
    EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(fds[1]);
      char byte = 0;
      if (::read(fds[0], &byte, 1) == 1) work();
      ::_exit(0);
    }
    ::close(fds[0]);
    go_.reset(fds[1]);
  }
  // One that waits for ever.
  WaitingChild()
      : WaitingChild([] {
          for (;;) ::pause();
        }) {}
  ~WaitingChild() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    Reap();
  }
  WaitingChild(const WaitingChild&) = delete;
  WaitingChild& operator=(const WaitingChild&) = delete;

  pid_t pid() const { return pid_; }
  void Go() { EXPECT_EQ(::write(go_.get(), "", 1), 1); }
  // Waits for its end: waitpid(2)'s status.
  int Reap() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd go_;
};

}  // namespace serai::testing
