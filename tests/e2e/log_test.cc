// SPDX-License-Identifier: Apache-2.0
// A container's log, as kubelet reads and rotates it.
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using Runtime = cri::RuntimeService::Stub;

class LogTest : public E2eTest {};
SERAI_EVERY_MODE(LogTest);

TEST_P(LogTest, HasALineWithTimeStreamAndTagForEachOfTheGuests) {
  ASSERT_OK_AND_ASSIGN(
      const auto run,
      RunScript("log", "echo hello World; echo two; echo -n no end"));
  ASSERT_OK(node_->WaitExited(run.container));
  const std::string log = LogWith(run.container, "no end");
  const std::vector<std::string> lines =
      absl::StrSplit(log, '\n', absl::SkipEmpty());
  std::vector<std::string> found;
  for (const std::string& line : lines) {
    EXPECT_THAT(line, MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9:]+\\.[0-9]+"
                                   "(Z|[-+][0-9:]+) std(out|err) [PF] .*"));
    if (line.find(" stdout F hello World") != line.npos) found.push_back("one");
    if (line.find(" stdout F two") != line.npos) found.push_back("two");
    // containerd calls a last line without its end full, we say what it is.
    if (line.find(" no end") != line.npos) found.push_back("three");
  }
  EXPECT_THAT(found, ::testing::ElementsAre("one", "two", "three")) << log;
}

TEST_P(LogTest, GoesOnInANewFileAfterARotation) {
  ASSERT_OK_AND_ASSIGN(
      const auto run,
      RunScript("log", "while true; do echo hello World; sleep 1; done"));
  EXPECT_THAT(LogWith(run.container, "hello"), HasSubstr(" F hello World"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
  const std::string rotated = absl::StrCat(status.log_path(), ".1");
  ASSERT_EQ(std::rename(status.log_path().c_str(), rotated.c_str()), 0);

  cri::ReopenContainerLogRequest reopen;
  reopen.set_container_id(run.container);
  ASSERT_OK(Ask(runtime(), &Runtime::ReopenContainerLog, reopen));
  EXPECT_TRUE(PathExists(status.log_path()));
  ASSERT_OK_AND_ASSIGN(const std::string before, ReadFile(rotated, 1 << 20));
  EXPECT_THAT(FileWith(status.log_path(), "hello"),
              HasSubstr(" F hello World"));
  ASSERT_OK_AND_ASSIGN(const std::string after, ReadFile(rotated, 1 << 20));
  EXPECT_EQ(before, after);
}

TEST_P(LogTest, CannotBeReopenedOnceTheContainerHasEnded) {
  ASSERT_OK_AND_ASSIGN(const auto run, RunScript("log", "echo done"));
  ASSERT_OK(node_->WaitExited(run.container));
  cri::ReopenContainerLogRequest reopen;
  reopen.set_container_id(run.container);
  EXPECT_THAT(Ask(runtime(), &Runtime::ReopenContainerLog, reopen).status(),
              Not(HasStatus(absl::StatusCode::kOk, "")));
}

}  // namespace
}  // namespace serai::testing
