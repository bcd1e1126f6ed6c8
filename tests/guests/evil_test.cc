// SPDX-License-Identifier: Apache-2.0
// Hostile guests: each ends, or goes on, as testing/evil_cases.h says, and the
// tender with it.

#include <csignal>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/guests/testing/evil_cases.h"
#include "tests/guests/testing/guest_process.h"
#include "tests/guests/testing/run_case.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

// How often a guest's tender has told its counters.
size_t Answers(const std::string& output) {
  size_t count = 0;
  for (size_t at = 0; (at = output.find("{\"stats\":", at)) != output.npos;
       ++at) {
    ++count;
  }
  return count;
}

bool Comes(const std::function<bool()>& what) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (absl::Now() < deadline) {
    if (what()) return true;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return what();
}

TEST(EvilGuestTest, BadPointersLengthsAndHandles) {
  SERAI_NEED("kvm");
  RunCases(kPointerCases);
}

TEST(EvilGuestTest, ForbiddenPorts) {
  SERAI_NEED("kvm");
  RunCases(kPortCases);
}

TEST(EvilGuestTest, InstructionsOfTheMachines) {
  SERAI_NEED("kvm");
  RunCases(kProcessorCases);
}

TEST(EvilGuestTest, BrokenTables) {
  SERAI_NEED("kvm");
  RunCases(kTableCases);
}

TEST(EvilGuestTest, MemoryThatIsNotItsOwn) {
  SERAI_NEED("kvm");
  RunCases(kMemoryCases);
}

TEST(EvilGuestTest, WithoutEnd) {
  SERAI_NEED("kvm");
  RunCases(kEndlessCases);
}

TEST(EvilGuestTest, DevicesForWhatTheyAreNot) {
  SERAI_NEED("kvm");
  RunCases(kDeviceCases);
}

// A guest that goes to the tender's stub all the time does not keep what is
// asked of the tender waiting.
TEST(EvilGuestTest, NoneKeepsRequestsWaiting) {
  SERAI_NEED("kvm");
  for (const char* way : {"handlers-at", "handlers-jump"}) {
    SCOPED_TRACE(way);
    GuestProcess guest({"evil_tables",
                        "hvt",
                        {},
                        {absl::StrCat("--how=", way), "--at=0x1000010e0"}});
    ASSERT_TRUE(guest.WaitForOutput("evil: about to ")) << guest.Output();
    for (int i = 0; i < 10 && guest.Running(); ++i) {
      const size_t before = Answers(guest.Output());
      guest.Kill(SIGUSR1);
      ASSERT_TRUE(Comes([&] {
        return Answers(guest.Output()) > before || !guest.Running();
      })) << guest.Output();
    }
    guest.Kill(SIGTERM);
    EXPECT_THAT(guest.Wait(absl::Seconds(5)),
                ::testing::Optional(::testing::AnyOf(1, kStopped)))
        << guest.Output();
  }
}

TEST(EvilGuestTest, SystemCalls) { RunCases(kSyscallCases); }

TEST(EvilGuestAtLevel0Test, Hypercalls) {
  SERAI_NEED("kvm");
  RunCasesAtLevel0(kPointerCases);
  RunCasesAtLevel0(kPortCases);
  RunCasesAtLevel0(kDeviceCases);
}

TEST(EvilGuestAtLevel0Test, ItsOwnProcessor) {
  SERAI_NEED("kvm");
  RunCasesAtLevel0(kProcessorCases);
  RunCasesAtLevel0(kTableCases);
}

TEST(EvilGuestAtLevel0Test, MemoryAndTime) {
  SERAI_NEED("kvm");
  RunCasesAtLevel0(kMemoryCases);
  RunCasesAtLevel0(kEndlessCases);
}

}  // namespace
}  // namespace serai::testing
