// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy/session.h"

#include "gmock/gmock.h"
#include "tests/cri/streaming/fake_host.h"
#include "tests/support/status_matchers.h"

namespace serai::cri::spdy {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SessionTest : public ::testing::Test {
 protected:
  std::shared_ptr<streaming::Stream> Open(uint32_t id) {
    EXPECT_OK(session_.Receive(
        ClientSynStream(encoder_, id, {{"streamtype", "data"}})));
    return host_.streams.back();
  }
  std::string ReadNow(streaming::Stream& stream) {
    std::string got = "(nothing)";
    stream.Read([&](std::string data) { got = std::move(data); });
    return got;
  }

  FakeHost host_;
  HeaderEncoder encoder_;  // the client's
  Session session_{host_};
};

TEST_F(SessionTest, AStreamIsAnsweredAndCarriesBothWays) {
  const auto stream = Open(1);
  EXPECT_EQ(HeaderValue(host_.last_headers, "streamtype"), "data");
  EXPECT_THAT(host_.Frames(), ElementsAre("SYN_REPLY 1"));
  ASSERT_OK(session_.Receive(ClientData(1, "hello")));
  EXPECT_EQ(ReadNow(*stream), "hello");
  bool done = false;
  stream->Write("answer", [&] { done = true; });
  EXPECT_FALSE(done);
  host_.Flush();
  EXPECT_TRUE(done);
  EXPECT_THAT(host_.Frames(), ElementsAre("DATA 1 answer"));
}

TEST_F(SessionTest, EachSideEndsForItself) {
  const auto stream = Open(1);
  ASSERT_OK(session_.Receive(ClientData(1, "last", true)));
  EXPECT_EQ(ReadNow(*stream), "last");
  EXPECT_EQ(ReadNow(*stream), "");
  EXPECT_EQ(session_.open_streams(), 1U);
  stream->Write("more", nullptr);
  stream->CloseWrite();
  stream->CloseWrite();
  EXPECT_EQ(session_.open_streams(), 0U);
  EXPECT_THAT(host_.Frames(),
              ElementsAre("SYN_REPLY 1", "DATA 1 more", "DATA 1  FIN"));
}

TEST_F(SessionTest, AResetIsToldAndDropsWhatWaits) {
  const auto stream = Open(1);
  auto held = std::make_shared<int>(0);
  bool aborted = false;
  stream->OnAbort([&] { aborted = true; });
  stream->Read([held](std::string) { FAIL() << "read after a reset"; });
  std::string payload;
  Append32(payload, 1);
  Append32(payload, 5);
  ASSERT_OK(session_.Receive(ClientFrame(FrameType::kRstStream, 0, payload)));
  EXPECT_TRUE(aborted);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(session_.open_streams(), 0U);
  // What was on its way is nothing to complain of.
  EXPECT_OK(session_.Receive(ClientData(1, "late")));
  stream->Write("late", nullptr);
  EXPECT_THAT(host_.Frames(), ElementsAre("SYN_REPLY 1"));
}

TEST_F(SessionTest, WithoutWindowsOfTheClientsAllIsSent) {
  const auto stream = Open(1);
  host_.Frames();
  stream->Write(std::string(200'000, 'x'), nullptr);
  EXPECT_EQ(host_.sent.size(), 200'008U);
}

TEST_F(SessionTest, AClientThatHasWindowsIsHeeded) {
  std::string setting;
  Append32(setting, 1);
  Append32(setting, kSettingInitialWindowSize);
  Append32(setting, 10);
  ASSERT_OK(session_.Receive(ClientFrame(FrameType::kSettings, 0, setting)));
  const auto stream = Open(1);
  host_.Frames();
  bool done = false;
  stream->Write("0123456789abcdef", [&] { done = true; });
  stream->CloseWrite();
  EXPECT_THAT(host_.Frames(), ElementsAre("DATA 1 0123456789"));
  const auto update = [&](uint32_t id, uint32_t delta) {
    std::string payload;
    Append32(payload, id);
    Append32(payload, delta);
    return session_.Receive(ClientFrame(FrameType::kWindowUpdate, 0, payload));
  };
  ASSERT_OK(update(1, 2));
  EXPECT_THAT(host_.Frames(), ElementsAre("DATA 1 ab"));
  EXPECT_TRUE(host_.waiting.empty());
  ASSERT_OK(update(1, 100));
  EXPECT_THAT(host_.Frames(), ElementsAre("DATA 1 cdef FIN"));
  host_.Flush();
  EXPECT_TRUE(done);
  EXPECT_FALSE(update(0, 0x7fffffff).ok());
}

TEST_F(SessionTest, SettingsThatChangeNoWindowBindNothing) {
  const auto stream = Open(1);
  std::string empty;
  Append32(empty, 0);
  ASSERT_OK(session_.Receive(ClientFrame(FrameType::kSettings, 0, empty)));
  host_.Frames();
  stream->Write(std::string(200'000, 'x'), nullptr);
  EXPECT_EQ(host_.sent.size(), 200'008U);
  // The window of the beginning, made explicit, does.
  std::string same;
  Append32(same, 1);
  Append32(same, kSettingInitialWindowSize);
  Append32(same, 64 << 10);
  ASSERT_OK(session_.Receive(ClientFrame(FrameType::kSettings, 0, same)));
  const auto other = Open(3);
  host_.Frames();
  other->Write(std::string(200'000, 'x'), nullptr);
  EXPECT_EQ(host_.sent.size(), 8U + (64 << 10));
}

TEST_F(SessionTest, UnreadDataStopsReadingAndReadDataIsAcknowledged) {
  const auto stream = Open(1);
  const auto other = Open(3);
  host_.Frames();
  const std::string half(kMaxUnreadBytes / 2, 'x');
  ASSERT_OK(session_.Receive(ClientData(1, half)));
  EXPECT_TRUE(session_.wants_input());
  ASSERT_OK(session_.Receive(ClientData(3, half)));
  EXPECT_FALSE(session_.wants_input());
  EXPECT_EQ(host_.readable, 0);
  EXPECT_EQ(ReadNow(*stream).size(), half.size());
  EXPECT_TRUE(session_.wants_input());
  EXPECT_EQ(host_.readable, 1);
  EXPECT_THAT(host_.Frames(),
              ElementsAre("WINDOW_UPDATE 1 65536", "WINDOW_UPDATE 0 65536"));
  other->Reset();
  EXPECT_EQ(session_.unread(), 0U);
}

TEST_F(SessionTest, ForgottenInputCostsNothing) {
  const auto stream = Open(1);
  stream->Discard();
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(session_.Receive(ClientData(1, std::string(10'000, 'x'))));
    EXPECT_EQ(session_.unread(), 0U);
  }
}

TEST_F(SessionTest, PingsOfTheClientsAreAnswered) {
  std::string odd;
  Append32(odd, 7);
  std::string even;
  Append32(even, 8);
  ASSERT_OK(session_.Receive(ClientFrame(FrameType::kPing, 0, odd)));
  ASSERT_OK(session_.Receive(ClientFrame(FrameType::kPing, 0, even)));
  EXPECT_THAT(host_.Frames(), ElementsAre("PING 7"));
}

TEST_F(SessionTest, TooManyStreamsAreRefusedOneByOne) {
  for (uint32_t i = 0; i < kMaxStreams; ++i) Open(2 * i + 1);
  host_.Frames();
  const uint32_t next = 2 * kMaxStreams + 1;
  ASSERT_OK(session_.Receive(ClientSynStream(encoder_, next, {})));
  EXPECT_THAT(host_.Frames(),
              ElementsAre(absl::StrCat("RST_STREAM ", next, " 3")));
  host_.streams.front()->Reset();
  Open(next + 2);
  EXPECT_EQ(session_.open_streams(), kMaxStreams);
}

TEST_F(SessionTest, NoStreamIsTakenAfterGoAway) {
  Open(1);
  session_.GoAway();
  session_.GoAway();
  ASSERT_OK(session_.Receive(ClientSynStream(encoder_, 3, {})));
  EXPECT_THAT(host_.Frames(),
              ElementsAre("SYN_REPLY 1", "GOAWAY 1 0", "RST_STREAM 3 3"));
}

TEST_F(SessionTest, WhatBreaksTheProtocolEndsTheSession) {
  std::string id;
  Append32(id, 1);
  const std::string bad[] = {
      "GET / HTTP/1.1\r\n",
      ClientSynStream(encoder_, 2, {}),
      ClientFrame(FrameType::kSynStream, 0, id),
      ClientFrame(FrameType::kSynReply, 0, id),
      ClientFrame(FrameType::kRstStream, 0, id),
      ClientFrame(FrameType::kPing, 0, ""),
      ClientFrame(FrameType::kSettings, 0, id),
      ClientFrame(FrameType::kWindowUpdate, 0, id),
      ClientFrame(FrameType::kHeaders, 0, ""),
      ClientData(5, "of no stream"),
      std::string("\x80\x02\x00\x01\x00\x00\x00\x00", 8),
      std::string("\x80\x03\x00\x01\x00\xff\xff\xff", 8),
  };
  for (const std::string& bytes : bad) {
    FakeHost host;
    Session session(host);
    // The first one is the header of a data frame of a high number.
    EXPECT_FALSE(session.Receive(bytes).ok()) << bytes;
    EXPECT_THAT(host.Frames(), Contains(HasSubstr("GOAWAY")));
  }
}

TEST_F(SessionTest, TheEndOfTheConnectionEndsEveryStream) {
  int aborted = 0;
  for (uint32_t id = 1; id < 10; id += 2) {
    // They also end each other.
    Open(id)->OnAbort([&] {
      ++aborted;
      host_.streams[0]->Reset();
    });
  }
  session_.Abort();
  EXPECT_EQ(aborted, 5);
  EXPECT_EQ(session_.open_streams(), 0U);
}

}  // namespace
}  // namespace serai::cri::spdy
