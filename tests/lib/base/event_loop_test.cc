// SPDX-License-Identifier: Apache-2.0
#include "lib/base/event_loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace serai {
namespace {

UniqueFd ReadyFd() { return UniqueFd(::eventfd(1, EFD_CLOEXEC)); }

TEST(EventLoopTest, CallsForAReadyDescriptorUntilUnwatched) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  const UniqueFd fd = ReadyFd();
  int calls = 0;
  ASSERT_OK(loop->Watch(fd.get(), EPOLLIN, [&](uint32_t events) {
    EXPECT_EQ(events, static_cast<uint32_t>(EPOLLIN));
    if (++calls == 3) loop->Unwatch(fd.get());
  }));
  loop->AddTimer(absl::Milliseconds(30), [&] { loop->Stop(); });
  EXPECT_OK(loop->Run());
  EXPECT_EQ(calls, 3);
}

TEST(EventLoopTest, AnUnwatchedOneIsNotCalledForAnEventThatIsKnown) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  const UniqueFd a = ReadyFd();
  const UniqueFd b = ReadyFd();
  int calls = 0;
  const auto once = [&](uint32_t) {
    ++calls;
    loop->Unwatch(a.get());
    loop->Unwatch(b.get());
  };
  ASSERT_OK(loop->Watch(a.get(), EPOLLIN, once));
  ASSERT_OK(loop->Watch(b.get(), EPOLLIN, once));
  loop->AddTimer(absl::Milliseconds(10), [&] { loop->Stop(); });
  EXPECT_OK(loop->Run());
  EXPECT_EQ(calls, 1);
}

TEST(EventLoopTest, ANumberThatIsAnothersNowIsNotTakenForTheOld) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  UniqueFd a = ReadyFd();
  UniqueFd b = ReadyFd();
  int old_calls = 0;
  int new_calls = 0;
  // Whichever comes first replaces the other, under the same number, by a
  // descriptor that is not ready.
  const auto replace = [&](UniqueFd& other) {
    ++old_calls;
    const int number = other.get();
    loop->Unwatch(number);
    const UniqueFd quiet(::eventfd(0, EFD_CLOEXEC));
    ASSERT_EQ(::dup3(quiet.get(), number, O_CLOEXEC), number);
    ASSERT_OK(loop->Watch(number, EPOLLIN, [&](uint32_t) { ++new_calls; }));
    loop->Stop();
  };
  ASSERT_OK(loop->Watch(a.get(), EPOLLIN, [&](uint32_t) { replace(b); }));
  ASSERT_OK(loop->Watch(b.get(), EPOLLIN, [&](uint32_t) { replace(a); }));
  EXPECT_OK(loop->Run());
  EXPECT_EQ(old_calls, 1);
  EXPECT_EQ(new_calls, 0);
}

TEST(EventLoopTest, APausedDescriptorWaits) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  const UniqueFd fd = ReadyFd();
  std::string order;
  ASSERT_OK(loop->Watch(fd.get(), EPOLLIN, [&](uint32_t) {
    order += "fd";
    loop->Stop();
  }));
  ASSERT_OK(loop->Rewatch(fd.get(), 0));
  loop->AddTimer(absl::Milliseconds(10), [&] {
    order += "timer ";
    EXPECT_OK(loop->Rewatch(fd.get(), EPOLLIN));
  });
  EXPECT_OK(loop->Run());
  EXPECT_EQ(order, "timer fd");
}

TEST(EventLoopTest, TimersFireInOrderAndCancelledOnesDoNot) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  std::string order;
  loop->AddTimer(absl::Milliseconds(20), [&] {
    order += "c";
    loop->Stop();
  });
  const auto cancelled =
      loop->AddTimer(absl::Milliseconds(5), [&] { order += "x"; });
  loop->AddTimer(absl::Milliseconds(10), [&] { order += "b"; });
  loop->AddTimer(absl::ZeroDuration(), [&] { order += "a"; });
  loop->CancelTimer(cancelled);
  loop->CancelTimer(999);
  EXPECT_OK(loop->Run());
  EXPECT_EQ(order, "abc");
}

TEST(EventLoopTest, SignalsAreRead) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  ASSERT_OK_AND_ASSIGN(const UniqueFd signals, OpenSignalFd({SIGUSR1}));
  EXPECT_EQ(NextSignal(signals.get()), 0);
  int got = 0;
  ASSERT_OK(loop->Watch(signals.get(), EPOLLIN, [&](uint32_t) {
    got = NextSignal(signals.get());
    loop->Stop();
  }));
  ASSERT_EQ(::raise(SIGUSR1), 0);
  EXPECT_OK(loop->Run());
  EXPECT_EQ(got, SIGUSR1);
}

}  // namespace
}  // namespace serai
