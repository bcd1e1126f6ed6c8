// SPDX-License-Identifier: Apache-2.0
#pragma once

// A test with an event loop of its own, and the pipes' ends that it reads.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "lib/base/event_loop.h"
#include "lib/base/unique_fd.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {

class LoopFixture : public ::testing::Test {
 protected:
  // As the shim does.
  LoopFixture() { EXPECT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR); }

  // Runs the loop until `done` holds; false when it does not within 20 s.
  bool RunUntil(const std::function<bool()>& done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!done()) {
      if (absl::Now() > deadline) return false;
      RunFor(absl::Milliseconds(5));
    }
    return true;
  }

  void RunFor(absl::Duration duration) {
    loop_->AddTimer(duration, [this] { loop_->Stop(); });
    EXPECT_OK(loop_->Run());
  }

  std::string MakeFifo(const std::string& name) {
    const std::string path = dir_ / name;
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return path;
  }

  static UniqueFd OpenReader(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  // Adds what can be read now, at most `limit` bytes, to `text`; true at the
  // end of the file.
  static bool ReadInto(std::string& text, int fd, size_t limit = 1 << 30) {
    std::array<char, 4096> chunk;
    while (limit > 0) {
      const ssize_t n = ::read(fd, chunk.data(), std::min(limit, chunk.size()));
      if (n <= 0) return n == 0;
      text.append(chunk.data(), static_cast<size_t>(n));
      limit -= static_cast<size_t>(n);
    }
    return false;
  }

  ::serai::testing::TempDir dir_;
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
};

}  // namespace serai::shim
