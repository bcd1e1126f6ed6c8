// SPDX-License-Identifier: Apache-2.0
#include "shim/pipe_writer.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/pipe.h"
#include "tests/shim/loop_fixture.h"

namespace serai::shim {
namespace {

class PipeWriterTest : public LoopFixture {
 protected:
  static constexpr size_t kCapacity = 4096;

  PipeWriterTest() : pipe_(*MakePipe()) {
    for (const int fd : {pipe_.read_end.get(), pipe_.write_end.get()}) {
      EXPECT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    }
    EXPECT_GE(::fcntl(pipe_.write_end.get(), F_SETPIPE_SZ, kCapacity), 0);
  }

  PipeWriter NewWriter() {
    return PipeWriter(*loop_, std::move(pipe_.write_end),
                      PipeWriter::WithoutReader::kGiveUp);
  }

  // Reads, as the loop runs, until the end of file.
  std::string ReadToEnd() {
    std::string text;
    EXPECT_TRUE(RunUntil([&] { return ReadInto(text, pipe_.read_end.get()); }));
    return text;
  }

  Pipe pipe_;
};

std::string Line(int number) {
  return absl::StrCat("line ", number, std::string(90, 'x'), "\n");
}

// The lines that are there and those that reports call lost, in order, without
// a cut one.
void ExpectAllAccountedFor(const std::string& text, int lines,
                           uint64_t dropped) {
  int next = 0;
  uint64_t lost = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    uint64_t count = 0;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words[0] == "serai:") {
      ASSERT_TRUE(absl::SimpleAtoi(words[1], &count)) << line;
      lost += count;
      next += static_cast<int>(count);
    } else {
      ASSERT_EQ(absl::StrCat(line, "\n"), Line(next));
      ++next;
    }
  }
  EXPECT_EQ(next, lines);
  EXPECT_EQ(lost, dropped);
}

TEST_F(PipeWriterTest, WhatThePipeTakesIsWrittenAtOnce) {
  PipeWriter writer = NewWriter();
  writer.Append("hello\nhalf");
  std::string text;
  ReadInto(text, pipe_.read_end.get());
  EXPECT_EQ(text, "hello\nhalf");
}

TEST_F(PipeWriterTest, WhatThePipeDoesNotTakeFollowsWhenItDoes) {
  PipeWriter writer = NewWriter();
  std::string all;
  for (int i = 0; i < 200; ++i) {
    writer.Append(Line(i));
    all += Line(i);
  }
  bool closed = false;
  writer.Finish([&] { closed = true; });
  EXPECT_FALSE(closed);
  EXPECT_EQ(ReadToEnd(), all);
  EXPECT_TRUE(closed);
  EXPECT_EQ(writer.dropped(), 0U);
}

TEST_F(PipeWriterTest, WholeLinesAreLostAndTheReaderIsToldWhere) {
  PipeWriter writer = NewWriter();
  int next = 0;
  std::string text;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 700; ++i) writer.Append(Line(next++));
    // A reader that comes now and then.
    for (int i = 0; i < 6; ++i) {
      ReadInto(text, pipe_.read_end.get(), 3000);
      RunFor(absl::Milliseconds(1));
    }
  }
  EXPECT_GT(writer.dropped(), 0U);
  writer.Finish();
  text += ReadToEnd();
  ExpectAllAccountedFor(text, next, writer.dropped());
}

TEST_F(PipeWriterTest, LinesThatComeInPiecesAreLostAsOne) {
  PipeWriter writer = NewWriter();
  int next = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = Line(next++);
    writer.Append(absl::string_view(line).substr(0, 40));
    writer.Append(absl::string_view(line).substr(40));
  }
  const uint64_t dropped = writer.dropped();
  EXPECT_GT(dropped, 0U);
  std::string text;
  // The loss is said without anything new being written.
  ASSERT_TRUE(RunUntil([&] {
    ReadInto(text, pipe_.read_end.get());
    return absl::StrContains(text, "serai: ");
  }));
  const std::string line = Line(next++);
  writer.Append(line);
  writer.Finish();
  text += ReadToEnd();
  // The one at which the buffer was full may be cut: it counts as lost.
  size_t cut = text.find("xserai");
  EXPECT_EQ(cut, std::string::npos);
  EXPECT_TRUE(absl::EndsWith(text, line)) << text.substr(text.size() - 300);
  EXPECT_TRUE(absl::StrContains(
      text, absl::StrCat("\nserai: ", dropped, " lines were lost")));
}

TEST_F(PipeWriterTest, AStreamWithoutNewlinesIsNotLostForEver) {
  PipeWriter writer = NewWriter();
  for (int i = 0; i < 100; ++i) writer.Append(std::string(1000, 'x'));
  std::string text;
  ASSERT_TRUE(RunUntil([&] {
    ReadInto(text, pipe_.read_end.get());
    return absl::StrContains(text, "serai: ");
  }));
  for (int i = 0; i < 20; ++i) writer.Append(std::string(1000, 'y'));
  writer.Finish();
  text += ReadToEnd();
  EXPECT_TRUE(absl::StrContains(text, "yyy"));
}

TEST_F(PipeWriterTest, WithoutAReaderAllIsLostAndCounted) {
  PipeWriter writer = NewWriter();
  for (int i = 0; i < 100; ++i) writer.Append(Line(i));
  pipe_.read_end.reset();
  EXPECT_TRUE(RunUntil([&] { return writer.closed(); }));
  writer.Append("a\nb\n");
  EXPECT_GT(writer.dropped(), 2U);
  bool closed = false;
  writer.Finish([&] { closed = true; });
  EXPECT_TRUE(closed);
}

TEST_F(PipeWriterTest, MayBeDestroyedWhenItSaysThatItIsClosed) {
  auto writer = std::make_unique<PipeWriter>(
      *loop_, std::move(pipe_.write_end), PipeWriter::WithoutReader::kGiveUp);
  for (int i = 0; i < 100; ++i) writer->Append(Line(i));
  writer->Finish([&] { writer.reset(); });
  ReadToEnd();
  EXPECT_EQ(writer, nullptr);
}

}  // namespace
}  // namespace serai::shim
