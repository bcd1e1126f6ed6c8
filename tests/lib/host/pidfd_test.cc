// SPDX-License-Identifier: Apache-2.0
#include "lib/host/pidfd.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/status_matchers.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;

// A child that sleeps until it is killed; reaped at the test's end.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ == 0) {
      // A command that tries to look like further fields of its stat line.
      ::prctl(PR_SET_NAME, "x) R 1 (y");
      for (;;) ::pause();
    }
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    Reap();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void Reap() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

TEST(PidfdTest, WaitTellsEndFromTimeout) {
  const Child child;
  ASSERT_OK_AND_ASSIGN(const Pidfd process, Pidfd::Open(child.pid()));
  ASSERT_OK_AND_ASSIGN(bool ended, process.Wait(absl::Milliseconds(5)));
  EXPECT_FALSE(ended);
  EXPECT_OK(process.SendSignal(SIGKILL));
  ASSERT_OK_AND_ASSIGN(ended, process.Wait(absl::Seconds(10)));
  EXPECT_TRUE(ended);
  pollfd poll_fd = {process.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&poll_fd, 1, 0), 1);
}

TEST(PidfdTest, WaitWithoutAnEndIsNotCutShort) {
  const Child child;
  ASSERT_OK_AND_ASSIGN(const Pidfd process, Pidfd::Open(child.pid()));
  EXPECT_OK(process.SendSignal(SIGKILL));
  ASSERT_OK_AND_ASSIGN(const bool ended,
                       process.Wait(absl::InfiniteDuration()));
  EXPECT_TRUE(ended);
}

TEST(PidfdTest, ReapedProcessIsNotFound) {
  Child child;
  const pid_t pid = child.pid();
  ASSERT_OK_AND_ASSIGN(const Pidfd process, Pidfd::Open(pid));
  EXPECT_OK(process.SendSignal(SIGKILL));
  child.Reap();
  EXPECT_THAT(process.SendSignal(SIGTERM),
              HasStatus(absl::StatusCode::kNotFound, "has ended"));
  EXPECT_THAT(ProcessStartTime(pid),
              HasStatus(absl::StatusCode::kNotFound, "no process"));
  EXPECT_THAT(OpenProcess(pid, 1),
              HasStatus(absl::StatusCode::kNotFound, "no process"));
}

TEST(PidfdTest, StartTimeIsReadPastAHostileCommandName) {
  const Child child;
  ASSERT_OK_AND_ASSIGN(const uint64_t own, ProcessStartTime(::getpid()));
  // Once the child has renamed itself its start time must read the same.
  ASSERT_OK_AND_ASSIGN(const uint64_t first, ProcessStartTime(child.pid()));
  ::usleep(20'000);
  ASSERT_OK_AND_ASSIGN(const uint64_t second, ProcessStartTime(child.pid()));
  EXPECT_EQ(first, second);
  EXPECT_GE(first, own);
}

TEST(PidfdTest, OpenProcessRefusesARecycledPid) {
  const Child child;
  ASSERT_OK_AND_ASSIGN(const uint64_t start, ProcessStartTime(child.pid()));
  ASSERT_OK_AND_ASSIGN(const Pidfd process, OpenProcess(child.pid(), start));
  EXPECT_THAT(
      OpenProcess(child.pid(), start - 1),
      HasStatus(absl::StatusCode::kNotFound, "its pid is another's now"));
}

TEST(PidfdTest, OpenProcessRefusesAZombie) {
  const Child child;
  ASSERT_OK_AND_ASSIGN(const uint64_t start, ProcessStartTime(child.pid()));
  ASSERT_OK_AND_ASSIGN(const Pidfd process, Pidfd::Open(child.pid()));
  EXPECT_OK(process.SendSignal(SIGKILL));
  ASSERT_OK_AND_ASSIGN(const bool ended, process.Wait(absl::Seconds(10)));
  ASSERT_TRUE(ended);
  EXPECT_THAT(OpenProcess(child.pid(), start),
              HasStatus(absl::StatusCode::kNotFound, "has ended"));
}

}  // namespace
}  // namespace serai::host
