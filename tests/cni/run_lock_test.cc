// SPDX-License-Identifier: Apache-2.0
#include "cni/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/time/clock.h"
#include "lib/base/event.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cni {
namespace {

using ::serai::testing::TempDir;

class RunLockTest : public ::testing::Test {
 protected:
  // What a killed runtime leaves: a process that has the lock's descriptor,
  // and nobody else. It runs for `seconds`.
  pid_t LeaveHolder(const std::string& seconds) {
    auto lock = RunLock::Take(path_, absl::Seconds(10));
    EXPECT_OK(lock);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::fcntl(lock->fd(), F_SETFD, 0);
      ::execl("/bin/sleep", "sleep", seconds.c_str(), nullptr);
      ::_exit(127);
    }
    return pid;
  }

  const TempDir dir_;
  const std::string path_ = dir_ / "a@eth0.lock";
};

TEST_F(RunLockTest, WaitsForTheOneBefore) {
  auto first = RunLock::Take(path_, absl::Seconds(10));
  ASSERT_OK(first);
  Event taken;
  std::thread second([&] {
    EXPECT_OK(RunLock::Take(path_, absl::Seconds(30)));
    taken.Notify();
  });
  EXPECT_FALSE(taken.WaitForNotificationWithTimeout(absl::Milliseconds(100)));
  // Its holder takes the file away as well: the next makes it anew.
  EXPECT_OK(first->Remove());
  { const RunLock gone = *std::move(first); }
  second.join();
  EXPECT_TRUE(PathExists(path_));
}

TEST_F(RunLockTest, WaitsForAProcessThatOutlivesWhoStartedIt) {
  const pid_t holder = LeaveHolder("0.5");
  const absl::Time start = absl::Now();
  EXPECT_OK(RunLock::Take(path_, absl::Seconds(30)));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(200));
  int status = -1;
  ASSERT_EQ(::waitpid(holder, &status, 0), holder);
  EXPECT_EQ(status, 0);  // by itself
}

TEST_F(RunLockTest, KillsWhoTakesTooLong) {
  const pid_t holder = LeaveHolder("600");
  EXPECT_OK(RunLock::Take(path_, absl::Milliseconds(200)));
  int status = 0;
  ASSERT_EQ(::waitpid(holder, &status, 0), holder);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_F(RunLockTest, AProgramAndWhatItStartsHoldIt) {
  {
    auto lock = RunLock::Take(path_, absl::Seconds(10));
    ASSERT_OK(lock);
    SubprocessSpec spec;
    spec.program = "/bin/sh";
    spec.args = {"-c", "sleep 0.5 >/dev/null 2>&1 &"};
    spec.descriptors = {lock->fd()};
    ASSERT_OK(RunSubprocess(spec));
  }
  const absl::Time start = absl::Now();
  EXPECT_OK(RunLock::Take(path_, absl::Seconds(30)));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(100));
}

}  // namespace
}  // namespace serai::cni
