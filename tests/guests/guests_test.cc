// SPDX-License-Identifier: Apache-2.0
// Our guests without a network, each under the tender, for both targets.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/guests/testing/guest_process.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr size_t kDiskSize = 1 << 20;

class GuestsTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (::access(TenderPath().c_str(), X_OK) != 0) {
      FAIL() << TenderPath() << " is not built";
    }
    if (IsHvt()) SERAI_NEED("kvm");
  }

  bool IsHvt() const { return absl::string_view(GetParam()) == "hvt"; }

  GuestResult Run(const std::string& name, std::vector<std::string> args,
                  std::vector<std::string> devices = {}) const {
    return RunGuest({name, GetParam(), std::move(devices), std::move(args)});
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, GuestsTest, ::testing::Values("hvt", "spt"),
                         [](const auto& test) { return test.param; });

TEST_P(GuestsTest, HelloSeesItsCommandLine) {
  const GuestResult result = Run("hello", {"--one", R"(two\ words "a b")"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output,
              StartsWith(absl::StrCat("hello: target ", GetParam(),
                                      ", memory 32 MiB\n"
                                      "command line: --one "
                                      R"(two\ words "a b")"
                                      "\n"
                                      "argument 1: --one\n"
                                      "argument 2: two words\n"
                                      "argument 3: a b\n"
                                      "SUCCESS\n")));
}

TEST_P(GuestsTest, StatusOfTheGuestIsTheTenders) {
  for (const int status : {0, 1, 42, 255}) {
    EXPECT_EQ(Run("exit", {absl::StrCat("--status=", status)}).status, status);
  }
}

TEST_P(GuestsTest, ScriptDoesWhatItsCommandSays) {
  // The tender's caller escapes what is one word.
  EXPECT_THAT(Run("script", {"echo", R"(hello\ World)"}).output,
              HasSubstr("hello World\n"));
  const GuestResult listed = Run(
      "script", {"sh", "-c", R"("echo -n one; echo two; exit 3; echo four")"});
  EXPECT_THAT(listed.output, HasSubstr("onetwo\n"));
  EXPECT_THAT(listed.output, Not(HasSubstr("four")));
  EXPECT_EQ(listed.status, 3);
  EXPECT_EQ(Run("script", {"sleep", "0"}).status, 0);
}

TEST_P(GuestsTest, ScriptLoops) {
  GuestProcess guest(
      {"script",
       GetParam(),
       {},
       {"sh", "-c", R"("while true; do echo again; sleep 1; done")"}});
  EXPECT_TRUE(guest.WaitForOutput("again\nagain\nagain\n"));
  EXPECT_TRUE(guest.Running());
}

TEST_P(GuestsTest, ScriptRefusesWhatItCannotRun) {
  const GuestResult unknown = Run("script", {"ls"});
  EXPECT_EQ(unknown.status, 127);
  EXPECT_THAT(unknown.output, HasSubstr("script: ls: no command of echo"));
  EXPECT_EQ(Run("script", {}).status, 64);
  EXPECT_EQ(Run("script", {"sleep", "soon"}).status, 64);
  EXPECT_THAT(Run("script", {"sh", "-c", R"("while true; do echo x")"}).output,
              HasSubstr("a loop lacks its: done"));
}

TEST_P(GuestsTest, UnknownOptionIsRefused) {
  const GuestResult result = Run("exit", {"--nonsense=1"});
  EXPECT_EQ(result.status, 64);
  EXPECT_THAT(result.output, HasSubstr("unknown argument '--nonsense=1'"));
}

TEST_P(GuestsTest, HelpIsAnswered) {
  const GuestResult result = Run("exit", {"--help=plain"});
  EXPECT_EQ(result.status, 63);
  EXPECT_THAT(result.output, HasSubstr("--status"));
}

TEST_P(GuestsTest, ClocksAgree) {
  const GuestResult result = Run("clock", {"--sleep-ms=200"});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_P(GuestsTest, BlockIsReadAndWritten) {
  const TempDir dir;
  const std::string disk = dir / "disk";
  std::string content(kDiskSize, '\0');
  content.replace(3, 14, "text on a disk");
  ASSERT_OK(WriteFileAtomic(disk, content));
  const std::vector<std::string> devices = {
      absl::StrCat("--block:storage=", disk)};

  GuestResult result = Run("block", {"--read-only"}, devices);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("capacity 1048576, block size 512"));
  EXPECT_THAT(result.output, HasSubstr("begins with 'text on a disk'"));
  ASSERT_OK_AND_ASSIGN(std::string after, ReadFile(disk, kDiskSize));
  EXPECT_EQ(after, content);

  result = Run("block", {}, devices);
  EXPECT_EQ(result.status, 0) << result.output;
  ASSERT_OK_AND_ASSIGN(after, ReadFile(disk, kDiskSize));
  ASSERT_EQ(after.size(), kDiskSize);
  EXPECT_EQ(after.substr(0, kDiskSize - 512),
            content.substr(0, kDiskSize - 512));
  for (size_t i = 0; i < 512; ++i) {
    ASSERT_EQ(static_cast<uint8_t>(after[kDiskSize - 512 + i]),
              static_cast<uint8_t>(i * 7 + i / 256 + 1))
        << i;
  }
}

TEST_P(GuestsTest, CrashesAreNoSuccess) {
  for (const char* how :
       {"null", "ud2", "divide", "text", "abort", "gp", "stack"}) {
    const GuestResult result = Run("crash", {absl::StrCat("--how=", how)});
    EXPECT_GT(result.status, 0) << how << ": " << result.output;
    EXPECT_THAT(result.output, StartsWith("crash: about to"));
    EXPECT_THAT(result.output, Not(HasSubstr("nothing happened")));
  }
}

// spt guests have no handlers of their own.
class HvtGuestsTest : public GuestsTest {};
INSTANTIATE_TEST_SUITE_P(Targets, HvtGuestsTest, ::testing::Values("hvt"),
                         [](const auto& test) { return test.param; });

TEST_P(HvtGuestsTest, CrashesArriveAtTheGuestsOwnHandler) {
  for (const char* how : {"null", "ud2", "divide", "gp"}) {
    const GuestResult result = Run("crash", {absl::StrCat("--how=", how)});
    EXPECT_EQ(result.status, 255) << how;
    EXPECT_THAT(result.output, HasSubstr("trap: vector "));
    EXPECT_THAT(result.output, HasSubstr("ABORT\n"));
  }
  EXPECT_THAT(Run("crash", {"--how=null"}).output,
              HasSubstr("page fault at 0x0\n"));
}

TEST_P(GuestsTest, FloodArrivesInOrder) {
  constexpr int kLines = 20000;
  const GuestResult result = Run("flood", {absl::StrCat("--lines=", kLines)});
  EXPECT_EQ(result.status, 0);
  const std::vector<std::string> lines = absl::StrSplit(result.output, '\n');
  ASSERT_EQ(lines.size(), kLines + 1);
  EXPECT_EQ(lines.back(), "");
  for (int i = 1; i <= kLines; ++i) {
    const std::string& line = lines[static_cast<size_t>(i - 1)];
    ASSERT_EQ(line.size(), 64);
    ASSERT_THAT(line, StartsWith(absl::StrCat(absl::Dec(i, absl::kZeroPad8))));
  }
}

TEST_P(GuestsTest, LongLineArrivesWhole) {
  const GuestResult result =
      Run("flood", {"--lines=2", "--bytes=200000", "--no-newline"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output.size(), 400000);
  EXPECT_THAT(result.output, StartsWith("00000001ijkl"));
}

TEST_P(GuestsTest, HogUsesTheMemoryItHas) {
  const GuestResult result = Run("hog", {"--mib=20", "--exit"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("using 16 MiB\n"));
  EXPECT_THAT(result.output, EndsWith("done, using 20 MiB\n"));
  EXPECT_THAT(Run("hog", {"--mib=100", "--exit"}).output,
              HasSubstr("the heap has only "));
}

TEST_P(GuestsTest, VectorsThreadLocalsAndTrapsWork) {
  const GuestResult result = Run("sse", {});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, EndsWith("SUCCESS\n"));
  if (IsHvt()) {
    EXPECT_THAT(result.output, HasSubstr("came back from 3 exceptions"));
  }
}

TEST_P(GuestsTest, SpinningGuestCanBeKilled) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{}, std::vector<std::string>{"--idle"}}) {
    GuestProcess guest({"spin", GetParam(), {}, args});
    ASSERT_TRUE(guest.WaitForOutput("spin")) << guest.Output();
    EXPECT_TRUE(guest.Running());
    guest.Kill(SIGKILL);
    EXPECT_EQ(guest.Wait(absl::Seconds(10)), 128 + SIGKILL);
  }
}

}  // namespace
}  // namespace serai::testing
