// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "shim/console_tail.h"
#include "tests/shim/loop_fixture.h"

namespace serai::shim {
namespace {

struct Followed {
  std::string text;
  uint64_t lost = 0;
  uint64_t offset = 0;
  bool ended = false;
};

// A client that takes every piece and asks for the next; it may be gone before
// its answer comes.
std::shared_ptr<Followed> Follow(
    ConsoleTail& tail,
    const std::shared_ptr<Followed>& followed = std::make_shared<Followed>()) {
  tail.Read(followed->offset,
            [&tail, followed](const ConsoleTail::Piece& piece) {
              followed->text.append(piece.data.data(), piece.data.size());
              followed->lost += piece.lost;
              followed->offset = piece.next_offset;
              followed->ended = piece.ended;
              if (!piece.ended) Follow(tail, followed);
            });
  return followed;
}

class ConsoleTailTest : public LoopFixture {
 protected:
  ConsoleTail tail_{*loop_};
};

TEST_F(ConsoleTailTest, FirstTheLastLinesThenWhatComes) {
  tail_.Append("one\ntw");
  const auto follower = Follow(tail_);
  EXPECT_EQ(follower->text, "one\ntw");
  tail_.Append("o\n");
  EXPECT_EQ(follower->text, "one\ntwo\n");
  EXPECT_FALSE(follower->ended);
  tail_.Finish();
  EXPECT_TRUE(follower->ended);
  EXPECT_EQ(follower->lost, 0U);
  EXPECT_EQ(Follow(tail_)->text, "one\ntwo\n");
}

TEST_F(ConsoleTailTest, OnlyTheEndIsKeptAndItBeginsWithAWholeLine) {
  std::string all;
  for (int i = 0; all.size() < 5 * ConsoleTail::kMaxBytes; ++i) {
    const std::string line = absl::StrCat("line ", i, "\n");
    tail_.Append(line);
    all += line;
  }
  const auto follower = Follow(tail_);
  EXPECT_GT(follower->text.size(), ConsoleTail::kMaxBytes / 2);
  EXPECT_LE(follower->text.size(), ConsoleTail::kMaxBytes);
  EXPECT_TRUE(absl::StartsWith(follower->text, "line "));
  EXPECT_TRUE(absl::EndsWith(all, "\n" + follower->text));
  EXPECT_EQ(follower->lost + follower->text.size(), all.size());
}

TEST_F(ConsoleTailTest, ALateClientIsToldWhatItMissed) {
  tail_.Append("0123456789");
  for (int i = 0; i < 3; ++i) {
    tail_.Append(std::string(ConsoleTail::kMaxBytes, 'x'));
  }
  ConsoleTail::Piece got;
  size_t size = 0;
  tail_.Read(5, [&](const ConsoleTail::Piece& piece) {
    got = piece;
    size = piece.data.size();
  });
  EXPECT_EQ(got.next_offset, tail_.end());
  EXPECT_EQ(5 + got.lost + size, tail_.end());
}

TEST_F(ConsoleTailTest, APieceLongerThanAllThatIsKept) {
  tail_.Append("before\n");
  tail_.Append(std::string(2 * ConsoleTail::kMaxBytes, 'x') + "end");
  const auto follower = Follow(tail_);
  EXPECT_TRUE(absl::EndsWith(follower->text, "xend"));
  EXPECT_EQ(follower->lost + follower->text.size(), tail_.end());
}

TEST_F(ConsoleTailTest, AnOffsetBeyondTheEndIsTheEnd) {
  tail_.Append("abc");
  int calls = 0;
  std::string text;
  tail_.Read(1 << 30, [&](const ConsoleTail::Piece& piece) {
    ++calls;
    text.assign(piece.data.data(), piece.data.size());
  });
  EXPECT_EQ(calls, 0);
  tail_.Append("def");
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(text, "def");
}

TEST_F(ConsoleTailTest, ManyFollowAtATimeAndTooManyAreAnsweredEarly) {
  int answered = 0;
  int empty = 0;
  const int many = static_cast<int>(ConsoleTail::kMaxWaiting) + 10;
  for (int i = 0; i < many; ++i) {
    tail_.Read(0, [&](const ConsoleTail::Piece& piece) {
      ++answered;
      if (piece.data.empty()) ++empty;
    });
  }
  EXPECT_EQ(answered, 10);
  EXPECT_EQ(empty, 10);
  tail_.Append("x\n");
  EXPECT_EQ(answered, many);
  EXPECT_EQ(empty, 10);
}

TEST_F(ConsoleTailTest, ThoseWhoWaitAreToldOfTheEndAlsoWhenTheTaskIsDeleted) {
  bool ended = false;
  {
    ConsoleTail tail(*loop_);
    tail.Read(0, [&](const ConsoleTail::Piece& piece) { ended = piece.ended; });
    EXPECT_FALSE(ended);
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace serai::shim
