// SPDX-License-Identifier: Apache-2.0
#include "shim/output.h"

#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "shim/input_drain.h"
#include "tests/shim/full_disk.h"
#include "tests/shim/loop_fixture.h"

namespace serai::shim {
namespace {

using ::serai::testing::FullDisk;
using ::serai::testing::HasStatus;
using ::testing::HasSubstr;

class OutputTest : public LoopFixture {
 protected:
  absl::StatusOr<std::unique_ptr<OutputSink>> Open(const std::string& out,
                                                   const std::string& err = "",
                                                   bool terminal = false) {
    task::CreateTaskRequest request;
    request.set_id("a");
    request.set_stdout(out);
    request.set_stderr(err);
    request.set_terminal(terminal);
    return OpenOutput(*loop_, request, "test");
  }

  // Everything up to the end of the file, as the loop runs.
  std::string ReadToEnd(int fd) {
    std::string text;
    EXPECT_TRUE(RunUntil([&] { return ReadInto(text, fd); }));
    return text;
  }
};

TEST_F(OutputTest, NoneIsAskedFor) {
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(""));
  EXPECT_EQ(sink, nullptr);
}

TEST_F(OutputTest, WhatIsNoOutputIsRefused) {
  for (const char* text :
       {"relative", "cri://relative", "file://host/x", "file://", "http://a/b",
        "binary:///x%zz", "file:///x%00y", "ttrpc+unix:///run/x?streaming_id=y",
        "://", "fifo:///x"}) {
    EXPECT_THAT(Open(text),
                HasStatus(absl::StatusCode::kInvalidArgument, "is no output"))
        << text;
  }
  EXPECT_THAT(Open(dir_ / "no"),
              HasStatus(absl::StatusCode::kFailedPrecondition, "/no"));
  EXPECT_THAT(Open(dir_.path()),
              HasStatus(absl::StatusCode::kFailedPrecondition, ""));
}

TEST_F(OutputTest, EachStreamHasItsFifo) {
  const std::string out = MakeFifo("out");
  const std::string err = MakeFifo("err");
  const UniqueFd out_reader = OpenReader(out);
  const UniqueFd err_reader = OpenReader(err);
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(out, err));
  sink->Append(LogStream::kStdout, "hello\n");
  sink->Append(LogStream::kStderr, "oops\n");
  sink->Append(LogStream::kStdout, "there");
  sink->Finish();
  EXPECT_EQ(ReadToEnd(out_reader.get()), "hello\nthere");
  EXPECT_EQ(ReadToEnd(err_reader.get()), "oops\n");
  EXPECT_THAT(sink->Reopen(),
              HasStatus(absl::StatusCode::kFailedPrecondition, "no log file"));
}

TEST_F(OutputTest, OneFifoWithoutTheOther) {
  const std::string out = MakeFifo("out");
  const UniqueFd reader = OpenReader(out);
  ASSERT_OK_AND_ASSIGN(auto sink, Open(out));
  sink->Append(LogStream::kStderr, "not asked for\n");
  sink->Append(LogStream::kStdout, "a\n");
  sink->Finish();
  EXPECT_EQ(ReadToEnd(reader.get()), "a\n");

  const UniqueFd again = OpenReader(out);
  ASSERT_OK_AND_ASSIGN(sink, Open("", out));
  sink->Append(LogStream::kStderr, "b\n");
  sink->Append(LogStream::kStdout, "not asked for\n");
  sink->Finish();
  EXPECT_EQ(ReadToEnd(again.get()), "b\n");
}

// containerd names a stderr for a terminal as well, and makes none.
TEST_F(OutputTest, ATerminalIsOneFifoWithATerminalsLines) {
  const std::string out = MakeFifo("out");
  const UniqueFd reader = OpenReader(out);
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(out, dir_ / "no", true));
  sink->Append(LogStream::kStdout, "a\nb");
  sink->Append(LogStream::kStderr, "c\n");
  sink->Finish();
  EXPECT_EQ(ReadToEnd(reader.get()), "a\r\nbc\r\n");
}

// As containerd opens it: a blocking open, before the shim or after.
TEST_F(OutputTest, AReaderThatWaitsInItsOpenIsLetIn) {
  const std::string out = MakeFifo("out");
  std::string text;
  std::thread reader([&] {
    const UniqueFd fd(::open(out.c_str(), O_RDONLY | O_CLOEXEC));
    while (!ReadInto(text, fd.get())) {
    }
  });
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(out));
  sink->Append(LogStream::kStdout, "hello\n");
  // The thread may not have come that far yet: the sink waits for it.
  sink->Finish();
  RunFor(absl::Milliseconds(500));
  reader.join();
  EXPECT_EQ(text, "hello\n");
}

TEST_F(OutputTest, AReaderThatGoesAndComesBackFindsAllOfIt) {
  const std::string out = MakeFifo("out");
  UniqueFd reader = OpenReader(out);
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(out));
  sink->Append(LogStream::kStdout, "first\n");
  std::string text;
  ReadInto(text, reader.get());
  sink->Append(LogStream::kStdout, "not read by the first\n");
  reader.reset();
  std::string expected = "first\nnot read by the first\n";
  for (int i = 0; i < 900; ++i) {
    const std::string line = absl::StrCat(i, std::string(95, 'x'), "\n");
    sink->Append(LogStream::kStdout, line);
    expected += line;
  }
  RunFor(absl::Milliseconds(20));
  reader = OpenReader(out);
  sink->Finish();
  text += ReadToEnd(reader.get());
  EXPECT_EQ(text, expected);
  EXPECT_EQ(sink->dropped(), 0U);
}

TEST_F(OutputTest, WhatHasNoReaderAtTheEndWaitsForOne) {
  const std::string out = MakeFifo("out");
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(out));
  std::string expected;
  for (int i = 0; i < 900; ++i) {
    const std::string line = absl::StrCat(i, std::string(95, 'x'), "\n");
    sink->Append(LogStream::kStdout, line);
    expected += line;
  }
  sink->Finish();
  RunFor(absl::Milliseconds(500));
  UniqueFd reader = OpenReader(out);
  std::string text;
  // It leaves once more in the middle.
  ReadInto(text, reader.get(), 1000);
  RunFor(absl::Milliseconds(20));
  reader.reset();
  RunFor(absl::Milliseconds(300));
  reader = OpenReader(out);
  text += ReadToEnd(reader.get());
  EXPECT_EQ(text, expected);
}

TEST_F(OutputTest, AFifoThatNobodyReadsCostsLinesAndNoTime) {
  const std::string out = MakeFifo("out");
  ASSERT_OK_AND_ASSIGN(const auto sink, Open(out));
  const std::string line = std::string(99, 'x') + "\n";
  const absl::Time before = absl::Now();
  for (int i = 0; i < 100'000; ++i) sink->Append(LogStream::kStdout, line);
  EXPECT_LT(absl::Now() - before, absl::Seconds(5));
  EXPECT_GT(sink->dropped(), 98'000U);
  const uint64_t dropped = sink->dropped();
  const UniqueFd reader = OpenReader(out);
  sink->Finish();
  EXPECT_THAT(ReadToEnd(reader.get()),
              HasSubstr(absl::StrCat("\nserai: ", dropped, " lines were")));
}

TEST_F(OutputTest, AFileIsMadeWithItsDirectoriesAndAppendedTo) {
  const std::string path = dir_ / "a b/c/log";
  const std::string uri = absl::StrCat("file://", dir_.path(), "/a%20b/c/log");
  ASSERT_OK_AND_ASSIGN(auto sink, Open(uri, uri));
  sink->Append(LogStream::kStdout, "one\n");
  sink->Append(LogStream::kStderr, "two\n");
  EXPECT_EQ(*ReadFile(path, 100), "one\ntwo\n");
  ASSERT_OK_AND_ASSIGN(sink, Open(uri));
  sink->Append(LogStream::kStderr, "three");
  EXPECT_EQ(*ReadFile(path, 100), "one\ntwo\nthree");
  EXPECT_OK(sink->Discard());
  EXPECT_TRUE(PathExists(path));
  ASSERT_EQ(::rename(path.c_str(), (path + ".1").c_str()), 0);
  EXPECT_OK(sink->Reopen());
  sink->Append(LogStream::kStdout, "four\n");
  EXPECT_EQ(*ReadFile(path, 100), "four\n");
}

TEST_F(OutputTest, TwoFilesTheNullDeviceAndABarePathOfAFile) {
  ASSERT_OK_AND_ASSIGN(
      auto sink, Open("file://" + (dir_ / "out"), "file://" + (dir_ / "err")));
  sink->Append(LogStream::kStdout, "one\n");
  sink->Append(LogStream::kStderr, "two\n");
  EXPECT_EQ(*ReadFile(dir_ / "out", 100), "one\n");
  EXPECT_EQ(*ReadFile(dir_ / "err", 100), "two\n");
  ASSERT_OK_AND_ASSIGN(sink, Open(dir_ / "out"));
  sink->Append(LogStream::kStdout, "three\n");
  EXPECT_EQ(*ReadFile(dir_ / "out", 100), "one\nthree\n");
  ASSERT_OK_AND_ASSIGN(sink, Open("file:///dev/null"));
  sink->Append(LogStream::kStdout, "x\n");
  EXPECT_EQ(sink->dropped(), 0U);
}

TEST_F(OutputTest, WhatWasMadeForATaskThatIsNotIsRemoved) {
  EXPECT_FALSE(Open("file://" + (dir_ / "out"), "nothing").ok());
  EXPECT_FALSE(PathExists(dir_ / "out"));
  ASSERT_OK_AND_ASSIGN(const auto sink, Open("cri://" + (dir_ / "out")));
  EXPECT_OK(sink->Discard());
  EXPECT_FALSE(PathExists(dir_ / "out"));
}

TEST_F(OutputTest, AFullDiskCostsLinesOfAFileAndTheLossIsSaid) {
  const std::string path = dir_ / "log";
  ASSERT_OK_AND_ASSIGN(const auto sink, Open("file://" + path));
  sink->Append(LogStream::kStdout, "first\nsec");
  {
    const FullDisk full(20);
    sink->Append(LogStream::kStdout, "ond\nthird\nfourth\nfi");
    EXPECT_EQ(*ReadFile(path, 100), "first\nsecond\nthird\n");
    EXPECT_EQ(sink->dropped(), 2U);
    sink->Append(LogStream::kStdout, "fth\nsixth\nsev");
    EXPECT_EQ(sink->dropped(), 4U);
  }
  sink->Append(LogStream::kStderr, "eighth\n");
  sink->Append(LogStream::kStdout, "enth\nninth\n");
  EXPECT_EQ(*ReadFile(path, 1000),
            "first\nsecond\nthird\n"
            "serai: 4 lines were lost: File too large\n"
            "eighth\nninth\n");
}

TEST_F(OutputTest, StandardInputIsReadAndForgotten) {
  const std::string path = MakeFifo("in");
  ASSERT_OK_AND_ASSIGN(const auto drain, InputDrain::Open(*loop_, path));
  ASSERT_NE(drain, nullptr);
  const std::string much(1 << 20, 'x');
  for (int i = 0; i < 2; ++i) {  // a writer may come again
    UniqueFd writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(writer.valid());
    size_t written = 0;
    EXPECT_TRUE(RunUntil([&] {
      const ssize_t n =
          ::write(writer.get(), much.data() + written, much.size() - written);
      if (n > 0) written += static_cast<size_t>(n);
      return written == much.size();
    }));
  }
  EXPECT_EQ(*InputDrain::Open(*loop_, dir_ / "no"), nullptr);
  EXPECT_EQ(*InputDrain::Open(*loop_, ""), nullptr);
}

}  // namespace
}  // namespace serai::shim
