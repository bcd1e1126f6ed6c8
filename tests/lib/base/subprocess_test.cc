// SPDX-License-Identifier: Apache-2.0
#include "lib/base/subprocess.h"

#include <fcntl.h>
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

SubprocessSpec Shell(std::string script) {
  SubprocessSpec spec;
  spec.program = "/bin/sh";
  spec.args = {"-c", std::move(script)};
  spec.env = {"PATH=/usr/bin:/bin"};
  return spec;
}

TEST(SubprocessTest, GivesInputAndTakesBothOutputsAndTheExitCode) {
  SubprocessSpec spec = Shell("cat; echo problem >&2; exit 3");
  spec.input = std::string(300000, 'i');
  ASSERT_OK_AND_ASSIGN(const SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.output, spec.input);
  EXPECT_EQ(result.error_output, "problem\n");
  EXPECT_EQ(result.exit_code, 3);
}

TEST(SubprocessTest, EndBySignalIsAnExitCodeAbove128) {
  ASSERT_OK_AND_ASSIGN(const auto result,
                       RunSubprocess(Shell("kill -TERM $$")));
  EXPECT_EQ(result.exit_code, 128 + 15);
}

// Whether the process is gone, or about to be.
bool Ends(pid_t pid) {
  for (int i = 0; i < 500 && ::kill(pid, 0) == 0; ++i) {
    const auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"), 4096);
    if (stat.ok() && stat->find(") Z ") != std::string::npos) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return ::kill(pid, 0) != 0;
}

TEST(SubprocessTest, OneThatHangsIsKilledWithItsChildren) {
  const TempDir dir;
  SubprocessSpec spec = Shell("sleep 1000 & echo $! > pid; sleep 1000");
  spec.directory = dir.path();
  spec.timeout = absl::Milliseconds(300);
  const absl::Time start = absl::Now();
  EXPECT_THAT(RunSubprocess(spec),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "/bin/sh"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  pid_t child = 0;
  ASSERT_TRUE(absl::SimpleAtoi(ReadFile(dir / "pid", 32).value_or(""), &child));
  EXPECT_TRUE(Ends(child));
}

TEST(SubprocessTest, OneThatHangsInAnotherGroupIsKilled) {
  SubprocessSpec spec;
  spec.program = "/usr/bin/perl";
  spec.args = {"-e", "setpgrp(0, getpgrp(getppid())) or die; sleep 20;"};
  spec.timeout = absl::Milliseconds(500);
  const absl::Time start = absl::Now();
  EXPECT_THAT(RunSubprocess(spec),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "perl"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST(SubprocessTest, ADescendantThatKeepsStdoutOpenDoesNotHoldTheCall) {
  const absl::Time start = absl::Now();
  ASSERT_OK_AND_ASSIGN(const auto result,
                       RunSubprocess(Shell("sleep 5 & echo done")));
  EXPECT_EQ(result.output, "done\n");
  EXPECT_LT(absl::Now() - start, absl::Seconds(4));
}

TEST(SubprocessTest, GivesDescriptorsInTheirOrder) {
  const TempDir dir;
  std::vector<UniqueFd> files;
  SubprocessSpec spec = Shell("cat <&5; cat <&4; cat <&3");
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_OK(WriteFileAtomic(dir / name, name));
    ASSERT_OK_AND_ASSIGN(UniqueFd fd, OpenFile(dir / name, O_RDONLY));
    files.push_back(std::move(fd));
  }
  // Whatever numbers they have here, 3 to 5 among them.
  spec.descriptors = {files[2].get(), files[0].get(), files[1].get()};
  ASSERT_OK_AND_ASSIGN(const SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.output, "bac") << result.error_output;
}

TEST(SubprocessTest, OneThatIsCancelledIsKilled) {
  SubprocessSpec spec = Shell("sleep 1000");
  int asked = 0;
  spec.cancelled = [&] { return ++asked == 3; };
  EXPECT_THAT(RunSubprocess(spec),
              HasStatus(absl::StatusCode::kCancelled, "/bin/sh"));
  spec = Shell("exit 3");
  spec.cancelled = [] { return false; };
  EXPECT_EQ(RunSubprocess(spec)->exit_code, 3);
}

TEST(SubprocessTest, OneThatFloodsIsKilled) {
  SubprocessSpec spec = Shell("while :; do echo flood; done");
  spec.max_output = 10000;
  EXPECT_THAT(RunSubprocess(spec),
              HasStatus(absl::StatusCode::kOutOfRange, "printed more"));
}

TEST(SubprocessTest, AMissingProgramIsNotFoundAndNamed) {
  SubprocessSpec spec;
  spec.program = "/nonexistent/plugin";
  EXPECT_THAT(RunSubprocess(spec),
              HasStatus(absl::StatusCode::kNotFound, "/nonexistent/plugin"));
}

}  // namespace
}  // namespace serai
