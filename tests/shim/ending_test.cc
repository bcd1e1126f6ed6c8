// SPDX-License-Identifier: Apache-2.0
#include "shim/ending.h"

#include <signal.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

// As waitpid() has them.
constexpr int Exited(int status) { return status << 8; }
constexpr int Killed(int signal_number) { return signal_number; }

TEST(EndingTest, TakesTheTendersWordForAnExit) {
  EXPECT_EQ(EndingOf(Exited(3), R"({"end":"exit","status":3})"), Ending::kExit);
  EXPECT_EQ(EndingOf(Exited(255), R"({"end":"abort","status":255})"),
            Ending::kAbort);
  EXPECT_EQ(EndingOf(Exited(1), R"({"end":"violation","message":"x"})"),
            Ending::kViolation);
  EXPECT_EQ(EndingOf(Exited(1), R"({"end":"failure","message":"x"})"),
            Ending::kFailure);
  EXPECT_EQ(EndingOf(Exited(143), R"({"end":"signal","signal":15})"),
            Ending::kSignal);
}

TEST(EndingTest, AnExitWithoutAWordIsTheGuests) {
  for (const char* line : {"", "{", "[]", "3", R"({"end":3})", R"({"end":"x"})",
                           R"({"stats":{}})", "\xff\xfe"}) {
    EXPECT_EQ(EndingOf(Exited(7), line), Ending::kExit) << line;
  }
}

TEST(EndingTest, BelievesTheKernelAndNotTheLine) {
  constexpr char kForged[] = R"({"end":"exit","status":0})";
  EXPECT_EQ(EndingOf(Killed(SIGSYS), kForged), Ending::kSeccomp);
  EXPECT_EQ(EndingOf(Killed(SIGSEGV), kForged), Ending::kFault);
  EXPECT_EQ(EndingOf(Killed(SIGKILL), kForged), Ending::kKilled);
  // No exit is a fault, whatever a guest makes its line say.
  EXPECT_EQ(EndingOf(Exited(0), R"({"end":"fault"})"), Ending::kExit);
  EXPECT_EQ(EndingOf(Exited(0), R"({"end":"killed"})"), Ending::kExit);
}

TEST(StatusPipeTest, KeepsTheLastWholeLine) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  StatusPipe pipe(*loop);
  ASSERT_OK_AND_ASSIGN(UniqueFd end, pipe.Open());
  ASSERT_OK(WriteAll(end.get(), "first\nsecond\nhalf"));
  pipe.Finish();
  EXPECT_EQ(pipe.last_line(), "second");
}

TEST(StatusPipeTest, ForgetsALineThatIsTooLong) {
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  StatusPipe pipe(*loop);
  ASSERT_OK_AND_ASSIGN(UniqueFd end, pipe.Open());
  ASSERT_OK(
      WriteAll(end.get(),
               absl::StrCat("short\n",
                            std::string(StatusPipe::kMaxLine + 1, 'x'), "\n")));
  pipe.Finish();
  EXPECT_EQ(pipe.last_line(), "short");
}

}  // namespace
}  // namespace serai::shim
