// SPDX-License-Identifier: Apache-2.0
// binary:// loggers: shell scripts that stand in for real ones.
#include <sys/stat.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "shim/binary_logger.h"
#include "shim/output.h"
#include "tests/shim/loop_fixture.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::testing::HasSubstr;
using ::testing::Not;

class LoggerTest : public LoopFixture {
 protected:
  // The URI's authority and path of a logger that runs `script`.
  std::string Logger(const std::string& script) {
    const std::string path = dir_ / "logger";
    EXPECT_OK(WriteFileAtomic(path, "#!/bin/sh\n" + script, 0755));
    return "://" + path;
  }

  absl::StatusOr<std::unique_ptr<OutputSink>> Open(const std::string& uri) {
    task::CreateTaskRequest request;
    request.set_id("a");
    request.set_stdout(uri);
    request.set_stderr(uri);
    return OpenOutput(*loop_, request, "k8s.io");
  }

  absl::StatusOr<std::unique_ptr<OutputSink>> StartImpatient(
      const std::string& script) {
    Logger(script);
    LoggerCommand command;
    command.program = dir_ / "logger";
    return BinaryLogger::Start(*loop_, command,
                               {.ready = absl::Seconds(1),
                                .end = absl::Milliseconds(500),
                                .term = absl::Milliseconds(300)});
  }

  std::string Read(const std::string& name) {
    return ReadFile(dir_ / name, 1 << 20).value_or("");
  }

  // Runs the loop until the logger has written its pid to the file "pid" and no
  // such process is there any more.
  bool Gone() {
    return RunUntil([this] {
      const std::string pid = Read("pid");
      return !pid.empty() && ::kill(std::stoi(pid), 0) != 0;
    });
  }
};

TEST_F(LoggerTest, ReadsBothStreamsAndIsToldWhoseTheyAre) {
  const std::string script = absl::StrCat(
      "cd ", dir_.path(), "\nexport -p >env; echo \"$@\" >args\n",
      "ls -l /proc/$$/fd >fds\n", "echo $$ >pid\n", "printf x >&5; exec 5>&-\n",
      "cat <&3 >out & cat <&4 >err; wait; echo end >>out\n");
  ASSERT_OK_AND_ASSIGN(const auto sink, Open("binary-v2" + Logger(script) +
                                             "?key=a+value&other=%26x"));
  sink->Append(LogStream::kStdout, "hello\n");
  sink->Append(LogStream::kStderr, "oops\n");
  sink->Finish();
  EXPECT_TRUE(Gone());
  EXPECT_EQ(Read("out"), "hello\nend\n");
  EXPECT_EQ(Read("err"), "oops\n");
  EXPECT_EQ(Read("args"), "key a value other &x\n");
  EXPECT_THAT(Read("env"), HasSubstr("CONTAINER_ID='a'"));
  EXPECT_THAT(Read("env"), HasSubstr("CONTAINER_NAMESPACE='k8s.io'"));
  EXPECT_THAT(Read("env"), Not(HasSubstr("HOME")));
  EXPECT_THAT(Read("fds"), Not(HasSubstr("eventpoll")));
  EXPECT_EQ(sink->dropped(), 0U);
}

TEST_F(LoggerTest, ReadyIsAClosedPipeOrForV2AByte) {
  const std::string script = absl::StrCat("echo $$ >", dir_ / "pid",
                                          "\nexec 5>&-; cat <&3 >/dev/null\n");
  {
    EXPECT_OK(Open("binary" + Logger(script)));
    EXPECT_TRUE(Gone());
  }
  EXPECT_THAT(Open("binary-v2" + Logger(script)),
              HasStatus(absl::StatusCode::kFailedPrecondition, "not say"));
  EXPECT_TRUE(Gone());
}

TEST_F(LoggerTest, OneThatEndsOrDoesNotExistIsAnError) {
  EXPECT_THAT(Open("binary" + Logger("exit 3\n")),
              HasStatus(absl::StatusCode::kFailedPrecondition, "not say"));
  EXPECT_THAT(
      Open("binary:///no/such/logger"),
      HasStatus(absl::StatusCode::kFailedPrecondition, "/no/such/logger"));
}

TEST_F(LoggerTest, OneThatIsNeverReadyIsKilled) {
  EXPECT_THAT(StartImpatient(absl::StrCat("echo $$ >", dir_ / "pid",
                                          "\nexec sleep 100\n")),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "not ready"));
  EXPECT_TRUE(Gone());
}

TEST_F(LoggerTest, OneThatDiesOrDoesNotReadCostsLines) {
  const std::string pid = absl::StrCat("echo $$ >", dir_ / "pid", "\n");
  ASSERT_OK_AND_ASSIGN(
      auto sink,
      Open("binary" + Logger(pid + "printf x >&5\nread x <&3; exit\n")));
  sink->Append(LogStream::kStdout, "x\n");
  EXPECT_TRUE(Gone());
  for (int i = 0; i < 10; ++i) sink->Append(LogStream::kStdout, "lost\n");
  EXPECT_EQ(sink->dropped(), 10U);
  sink->Finish();
  sink.reset();

  ASSERT_OK(RemovePath(dir_ / "pid"));
  ASSERT_OK_AND_ASSIGN(sink,
                       StartImpatient(pid + "printf x >&5\nexec sleep 100\n"));
  const std::string line = std::string(999, 'x') + "\n";
  for (int i = 0; i < 1000; ++i) sink->Append(LogStream::kStderr, line);
  EXPECT_GT(sink->dropped(), 800U);
  sink->Finish();
  sink.reset();
  // The loop ends as well: it is not left behind.
  loop_.reset();
  EXPECT_NE(::kill(std::stoi(Read("pid")), 0), 0);
  loop_ = *EventLoop::Create();
}

TEST_F(LoggerTest, OneThatDoesNotEndIsAskedAndThenKilled) {
  const std::string script = absl::StrCat(
      "echo $$ >", dir_ / "pid", "\ntrap 'echo term >", dir_ / "term",
      "' TERM\nprintf x >&5\n", "while :; do sleep 0.1; done\n");
  ASSERT_OK_AND_ASSIGN(auto sink, StartImpatient(script));
  const absl::Time before = absl::Now();
  sink->Finish();
  sink.reset();
  EXPECT_TRUE(Gone());
  EXPECT_GT(absl::Now() - before, absl::Milliseconds(700));
  EXPECT_EQ(Read("term"), "term\n");
}

}  // namespace
}  // namespace serai::shim
