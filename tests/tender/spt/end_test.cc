// SPDX-License-Identifier: Apache-2.0
// How an spt guest ends, and what is said of it.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/spt/spt_process.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr size_t kMaxFile = 1 << 20;

struct EndCase {
  std::vector<std::string> args;
  int status;
  std::string line;
  std::string message;
};

const EndCase kEndCases[] = {
    {{"exit", "--status=0"}, 0, "{\"end\":\"exit\",\"status\":0}\n", ""},
    {{"exit", "--status=7"}, 7, "{\"end\":\"exit\",\"status\":7}\n", ""},
    {{"exit", "--status=256"}, 255, "{\"end\":\"exit\",\"status\":256}\n", ""},
    {{"exit", "--status=65536"},
     255,
     "{\"end\":\"exit\",\"status\":65536}\n",
     ""},
    {{"exit", "--status=259"}, 3, "{\"end\":\"exit\",\"status\":259}\n", ""},
    {{"crash", "--how=abort"},
     255,
     "{\"end\":\"abort\",\"status\":255}\n",
     "serai-tender: the guest aborted\n"},
    {{"crash", "--how=null"},
     kFault,
     "{\"end\":\"fault\",\"status\":139,\"signal\":11,\"address\":\"0x0\","
     "\"rip\":\"0x",
     "serai-tender: the guest died of SIGSEGV: address=0x0, rip=0x"},
    {{"crash", "--how=gp"}, kFault, "{\"end\":\"fault\"", "died of SIGSEGV"},
    {{"crash", "--how=ud2"},
     128 + SIGILL,
     "{\"end\":\"fault\",\"status\":132,\"signal\":4,",
     "died of SIGILL: address=0x"},
    {{"crash", "--how=divide"},
     128 + SIGFPE,
     "{\"end\":\"fault\",\"status\":136,\"signal\":8,",
     "died of SIGFPE: address=0x"},
    {{"evil_endless", "--how=breakpoint"},
     128 + SIGTRAP,
     "{\"end\":\"fault\",\"status\":133,\"signal\":5,",
     "died of SIGTRAP: address=0x"},
    {{"evil_syscalls", "--how=any", "--call=57"},
     kForbidden,
     "{\"end\":\"seccomp\",\"status\":159,\"syscall\":57,\"rip\":\"0x10",
     "serai-tender: the guest made a forbidden system call: number=57, rip=0x"},
    {{"evil_syscalls", "--how=any", "--call=1", "--a=2"},
     kForbidden,
     "{\"end\":\"seccomp\",\"status\":159,\"syscall\":1,",
     "number=1,"},
    // Those of other ABIs are not even told.
    {{"evil_syscalls", "--how=x32", "--call=231"}, kForbidden, "", ""},
};

class SptEndTest : public ::testing::TestWithParam<EndCase> {};

INSTANTIATE_TEST_SUITE_P(Ends, SptEndTest, ::testing::ValuesIn(kEndCases));

TEST_P(SptEndTest, IsToldInBothWays) {
  const EndCase& one = GetParam();
  Reported reported(SpecOf(one.args));
  EXPECT_EQ(reported.tender().Wait(), one.status);
  EXPECT_THAT(reported.tender().Output(), HasSubstr(one.message));
  const std::string lines = reported.StatusLines();
  EXPECT_THAT(lines, StartsWith(one.line));
  EXPECT_EQ(lines.empty(), one.line.empty());
}

TEST_P(SptEndTest, IsTheSameWhereNobodyWantsToBeTold) {
  const EndCase& one = GetParam();
  const TenderResult result = RunTender(SpecOf(one.args));
  EXPECT_EQ(result.status, one.status);
  EXPECT_THAT(result.output, HasSubstr(one.message));
}

TEST_P(SptEndTest, IsTheSameForTheFirstProcessOfANamespace) {
  SERAI_NEED("root");
  const EndCase& one = GetParam();
  TenderSpec spec = SpecOf(one.args);
  spec.first_of_pid_namespace = true;
  Reported reported(spec);
  EXPECT_EQ(reported.tender().Wait(), one.status);
  EXPECT_THAT(reported.StatusLines(), StartsWith(one.line));
}

// Some kernels take none at all, so that it is a fault there.
TEST(SptAbiTest, A32BitCallEndsTheGuest) {
  const TenderResult result =
      RunTender(SpecOf({"evil_syscalls", "--how=int80", "--call=4", "--a=1"}));
  EXPECT_THAT(result.status, AnyOf(kForbidden, kFault));
  EXPECT_THAT(result.output, Not(HasSubstr("nothing happened")));
}

TEST(SptSignalTest, TellsOfTheRequestToEnd) {
  SERAI_NEED("root");
  for (const bool first : {false, true}) {
    for (const char* mode : {"", "--idle"}) {
      for (const int number : {SIGTERM, SIGINT}) {
        TenderSpec spec = SpecOf({"spin", mode});
        if (*mode == '\0') spec.args.pop_back();
        spec.first_of_pid_namespace = first;
        Reported reported(spec);
        ASSERT_TRUE(reported.tender().WaitForOutput("spin"));
        reported.tender().Kill(number);
        EXPECT_EQ(reported.tender().Wait(), 128 + number);
        EXPECT_EQ(reported.StatusLines(),
                  absl::StrCat("{\"end\":\"signal\",\"status\":", 128 + number,
                               ",\"signal\":", number, "}\n"));
      }
    }
  }
}

bool BlockAllSignals() {
  sigset_t all;
  ::sigfillset(&all);
  return ::sigprocmask(SIG_SETMASK, &all, nullptr) == 0;
}

TEST(SptSignalTest, AreTakenWhereTheCallerHadBlockedThem) {
  TenderSpec spec = SpecOf({"spin", "--idle"});
  spec.prepare = BlockAllSignals;
  TenderProcess idle(spec);
  ASSERT_TRUE(idle.WaitForOutput("spin"));
  idle.Kill(SIGTERM);
  EXPECT_EQ(idle.Wait(), 128 + SIGTERM);
  spec = SpecOf({"evil_syscalls", "--how=any", "--call=57"});
  spec.prepare = BlockAllSignals;
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, kForbidden);
  EXPECT_THAT(result.output, HasSubstr("number=57"));
}

// Which is no fault of the guest's.
TEST(SptSignalTest, SaysNothingOfASignalThatSomebodySent) {
  for (const int number :
       {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGKILL}) {
    Reported reported(SpecOf({"spin"}));
    ASSERT_TRUE(reported.tender().WaitForOutput("spin"));
    reported.tender().Kill(number);
    EXPECT_EQ(reported.tender().Wait(), 128 + number);
    EXPECT_THAT(reported.StatusLines(), IsEmpty());
    EXPECT_THAT(reported.tender().Output(), Not(HasSubstr("serai-tender:")));
  }
}

TEST(SptSignalTest, IgnoresRequestsThatAreForOtherGuests) {
  TenderProcess tender(SpecOf({"spin", "--idle"}));
  ASSERT_TRUE(tender.WaitForOutput("spin"));
  tender.Kill(SIGUSR1);
  tender.Kill(SIGUSR2);
  tender.Kill(SIGPIPE);
  absl::SleepFor(absl::Milliseconds(50));
  tender.Kill(SIGTERM);
  EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
}

TEST(SptSignalTest, DiesOfAFileThatIsCutOff) {
  const TempDir directory;
  const std::string path = directory / "spin.spt";
  const auto contents = ReadFile(Guest("evil_endless.spt"), kMaxFile);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_TRUE(WriteFileAtomic(path, *contents, 0644).ok());
  TenderSpec spec;
  spec.args = {"--mem=32", path, "--how=console"};
  Reported reported(spec);
  ASSERT_TRUE(reported.tender().WaitForOutput("about to console"));
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  EXPECT_EQ(reported.tender().Wait(), 128 + SIGBUS);
  EXPECT_THAT(reported.StatusLines(),
              StartsWith("{\"end\":\"fault\",\"status\":135,\"signal\":7,"));
  EXPECT_THAT(reported.tender().Output(), HasSubstr("died of SIGBUS"));
}

TEST(SptConsoleTest, IsLeftToItselfWhenNobodyReads) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd writer(pipe[1]);
  TenderSpec spec = SpecOf({"flood", "--lines=20000"});
  spec.stdout_fd = writer.get();
  EXPECT_EQ(RunTender(spec).status, 0);
  // The descriptor that others share is as it was; the pipe holds more.
  EXPECT_EQ(::fcntl(writer.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_GE(::fcntl(reader.get(), F_GETPIPE_SZ), 256 * 1024);
}

}  // namespace
}  // namespace serai::testing
