// SPDX-License-Identifier: Apache-2.0
// --jail=pid: the process that waits for the tender.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/jail/inspection.h"
#include "tests/tender/jail/jail_case.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::IsEmpty;

// How the process in a PID namespace and the one that waits for it belong
// together.
class WaiterTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (std::string(GetParam()) == "hvt") SERAI_NEED("kvm");
  }
  TenderSpec SpecFor(const std::string& guest) {
    TenderSpec spec;
    spec.prepare = JoinGroups;
    spec.args = {"--mem=32", "--jail=pid,mount,uid=12345,gid=12346",
                 Guest(guest + "." + GetParam())};
    return spec;
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, WaiterTest, ::testing::Values("hvt", "spt"),
                         [](const auto& one) {
                           return std::string(one.param);
                         });

TEST_P(WaiterTest, IsInTheSameJail) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  ExpectNoRights(process.pid());
  ExpectUser(process.pid(), {"12345", "12346"});
  EXPECT_THAT(Names(Proc(process.pid(), "fd")), IsEmpty());
}

TEST_P(WaiterTest, PassesSignalsOn) {
  for (const int number : {SIGTERM, SIGINT}) {
    TenderProcess process(SpecFor("spin"));
    ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
    process.Kill(number);
    EXPECT_EQ(process.Wait(), 128 + number);
  }
}

TEST_P(WaiterTest, IgnoresWhatTheTenderIgnores) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  for (const int number : {SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2}) {
    process.Kill(number);
  }
  absl::SleepFor(absl::Milliseconds(50));
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

TEST_P(WaiterTest, PassesOnASignalThatComesAtAnyTime) {
  for (int delay = 0; delay < 3000; delay += 100) {
    TenderProcess process(SpecFor("spin"));
    ::usleep(static_cast<useconds_t>(delay));
    process.Kill(SIGTERM);
    EXPECT_EQ(process.Wait(), 128 + SIGTERM) << delay << " us";
  }
}

TEST_P(WaiterTest, TakesTheTenderAlong) {
  for (const int number : {SIGKILL, SIGHUP, SIGALRM}) {
    TenderProcess process(SpecFor("spin"));
    ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
    const UniqueFd tender = OpenPidfd(ChildOf(process.pid()));
    process.Kill(number);
    EXPECT_EQ(process.Wait(), 128 + number);
    EXPECT_TRUE(EndsSoon(tender));
  }
}

TEST_P(WaiterTest, DiesOfWhatTheTenderDiesOf) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  ::kill(ChildOf(process.pid()), SIGKILL);
  EXPECT_EQ(process.Wait(), 128 + SIGKILL);
}

TEST(WaiterSptTest, DiesOfAFaultOfTheGuests) {
  SERAI_NEED("root");
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=pid", Guest("crash.spt")};
  TenderProcess process(spec);
  EXPECT_EQ(process.Wait(), 128 + SIGSEGV);
  EXPECT_FALSE(process.dumped_core());
  // Where it can't, as the first process of another namespace, it says so.
  spec.first_of_pid_namespace = true;
  EXPECT_EQ(RunTender(spec).status, 128 + SIGSEGV);
}

TEST(WaiterHvtTest, PassesRequestsOn) {
  SERAI_NEED("root");
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=pid,mount", Guest("spin.hvt")};
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin"));
  process.Kill(SIGUSR1);
  EXPECT_TRUE(process.WaitForOutput("{\"stats\":"));
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

}  // namespace
}  // namespace serai::testing
