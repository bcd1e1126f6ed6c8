// SPDX-License-Identifier: Apache-2.0
#include "cli/cri_log.h"

#include <atomic>
#include <cstdio>
#include <sstream>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cli {
namespace {

using serai::testing::HasStatus;
using serai::testing::TempDir;

constexpr char kTime[] = "2026-01-02T03:04:05.000000006Z";

std::string Line(absl::string_view text, absl::string_view tags = "F") {
  return absl::StrCat(kTime, " stdout ", tags, " ", text, "\n");
}

std::string Printed(absl::string_view log, size_t piece, bool timestamps) {
  std::ostringstream out;
  LogPrinter printer(out, timestamps);
  for (size_t at = 0; at < log.size(); at += piece) {
    printer.Feed(log.substr(at, piece));
  }
  printer.Finish();
  return out.str();
}

TEST(LogPrinterTest, JoinsPartsHoweverThePiecesAreCut) {
  const std::string log = Line("hello", "P") + Line(" world") + Line("") +
                          Line("tagged", "F:x") + Line("two  spaces ");
  for (const size_t piece : {1U, 2U, 7U, 50U, 1000U}) {
    EXPECT_EQ(Printed(log, piece, false),
              "hello world\n\ntagged\ntwo  spaces \n");
  }
}

TEST(LogPrinterTest, PutsTheTimeBeforeWholeLines) {
  EXPECT_EQ(Printed(Line("a", "P") + Line("b"), 10, true),
            absl::StrCat(kTime, " ab\n"));
}

TEST(LogPrinterTest, PrintsOtherLinesAsTheyAre) {
  EXPECT_EQ(Printed("rubbish\n" + Line("a", "P") + "x stdout Q y\n" + "end", 9,
                    false),
            "rubbish\na\nx stdout Q y\nend\n");
}

TEST(LogPrinterTest, HoldsBackNoEndlessLine) {
  std::ostringstream out;
  LogPrinter printer(out, false);
  for (int i = 0; i < 100; ++i) printer.Feed(std::string(4096, 'x'));
  EXPECT_GT(out.str().size(), 300'000U);
}

std::string Tail(const std::string& log, int64_t lines) {
  const TempDir directory;
  EXPECT_OK(WriteFileAtomic(directory / "0.log", log));
  std::ostringstream out;
  LogOptions options;
  options.tail = lines;
  EXPECT_OK(PrintLog(directory / "0.log", options, out));
  return out.str();
}

TEST(PrintLogTest, GivesTheLastLines) {
  const std::string log =
      Line("a") + Line("b", "P") + Line("c") + Line("d") + Line("e");
  EXPECT_EQ(Tail(log, 0), "");
  EXPECT_EQ(Tail(log, 1), "e\n");
  EXPECT_EQ(Tail(log, 3), "bc\nd\ne\n");
  EXPECT_EQ(Tail(log, 4), "a\nbc\nd\ne\n");
  EXPECT_EQ(Tail(log, 99), "a\nbc\nd\ne\n");
  EXPECT_EQ(Tail(log + Line("f", "P"), 2), "e\nf\n");
  EXPECT_EQ(Tail("", 2), "");
}

TEST(PrintLogTest, SaysWhenThereIsNone) {
  std::ostringstream out;
  EXPECT_THAT(PrintLog("/nonexistent/0.log", {}, out),
              HasStatus(absl::StatusCode::kNotFound, "/nonexistent/0.log"));
}

class FollowLogTest : public ::testing::Test {
 protected:
  void Append(const std::string& text) {
    FILE* file = std::fopen(path_.c_str(), "a");
    ASSERT_NE(file, nullptr);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }

  TempDir directory_;
  const std::string path_ = directory_ / "0.log";
};

TEST_F(FollowLogTest, WritesEverythingUntilTheContainerEnds) {
  std::atomic<bool> ended = false;
  std::thread writer([&] {
    absl::SleepFor(absl::Milliseconds(150));
    Append(Line("one"));
    absl::SleepFor(absl::Milliseconds(150));
    Append(Line("two"));
    // Rotated as kubelet does: moved away, written to a while longer, made
    // anew.
    ASSERT_EQ(std::rename(path_.c_str(), (path_ + ".1").c_str()), 0);
    absl::SleepFor(absl::Milliseconds(150));
    Append(Line("three"));
    ended = true;
  });
  std::ostringstream out;
  const absl::Status status = FollowLog(
      path_, {}, out, [&]() -> absl::StatusOr<bool> { return ended.load(); });
  writer.join();
  EXPECT_OK(status);
  EXPECT_EQ(out.str(), "one\ntwo\nthree\n");
}

TEST_F(FollowLogTest, EndsWithTheContainerThatWroteNothing) {
  std::ostringstream out;
  EXPECT_OK(
      FollowLog(path_, {}, out, []() -> absl::StatusOr<bool> { return true; }));
  EXPECT_EQ(out.str(), "");
}

TEST_F(FollowLogTest, ReturnsTheErrorOfWhoeverIsAsked) {
  Append(Line("one"));
  std::ostringstream out;
  EXPECT_THAT(FollowLog(path_, {}, out,
                        []() -> absl::StatusOr<bool> {
                          return absl::UnavailableError("gone");
                        }),
              HasStatus(absl::StatusCode::kUnavailable, "gone"));
  EXPECT_EQ(out.str(), "one\n");
}

}  // namespace
}  // namespace serai::cli
