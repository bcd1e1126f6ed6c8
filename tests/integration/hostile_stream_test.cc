// SPDX-License-Identifier: Apache-2.0
// Clients of the streaming server that mean harm: it goes on answering others,
// and stays small.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/integration/streaming_fixture.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class HostileStreamTest : public StreamingFixture {
 protected:
  void SetUp() override {
    StreamingFixture::SetUp();
    if (node_ == nullptr) return;
    ASSERT_OK_AND_ASSIGN(web_, RunWeb("web"));
    ExpectAnswer(0);
    small_ = Resident();
  }

  // Of seraid, in MiB.
  int64_t Resident() const {
    const auto status =
        ReadFile(absl::StrCat("/proc/", node_->pid(), "/status"), 1 << 16);
    int64_t kib = 0;
    for (const absl::string_view line : absl::StrSplit(*status, '\n')) {
      const size_t digit = line.find_first_of("0123456789");
      if (absl::StartsWith(line, "VmRSS:")) {
        EXPECT_TRUE(absl::SimpleAtoi(
            line.substr(digit, line.find(' ', digit) - digit), &kib));
      }
    }
    return kib / 1024;
  }
  void ExpectSmall() const { EXPECT_LT(Resident(), small_ + 24); }

  // Somebody else gets an answer.
  void ExpectAnswer(int request) {
    ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web_.pod));
    ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, request));
    ASSERT_OK(client->Write(*pair.data, kGetRoot));
    EXPECT_OK(client->ReadToEnd(*pair.data));
  }

  absl::StatusOr<std::unique_ptr<ByteChannel>> Stranger() {
    ASSIGN_OR_RETURN(const std::string url, PortForwardUrl(web_.pod));
    ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
    return ConnectTo(parsed);
  }

  // Whether the server ends the connection, whatever it says first.
  static bool Ends(ByteChannel& channel) {
    const absl::Time deadline = absl::Now() + absl::Seconds(40);
    while (absl::Now() < deadline) {
      const auto bytes = channel.Receive(absl::Seconds(1));
      if (bytes.ok() && bytes->empty()) return true;
      if (!bytes.ok() && !absl::IsDeadlineExceeded(bytes.status())) return true;
    }
    return false;
  }

  CriClient::Running web_;
  int64_t small_ = 0;
};

TEST_F(HostileStreamTest, GarbageIsRefused) {
  const std::string requests[] = {
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),
      "GET /\r\n\r\n",
      "GET /attach/guess HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: "
      "SPDY/3.1\r\n\r\n",
      "POST /portforward/guess HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
      absl::StrCat("GET /", std::string(40'000, 'x'), " HTTP/1.1\r\n\r\n"),
      absl::StrCat("GET / HTTP/1.1\r\nA: ", std::string(1 << 20, 'x')),
      std::string(1 << 20, '\0'),
  };
  for (const std::string& request : requests) {
    ASSERT_OK_AND_ASSIGN(const auto stranger, Stranger());
    // It may be closed while it is sent.
    (void)stranger->Send(request);
    EXPECT_TRUE(Ends(*stranger)) << request.substr(0, 60);
  }
  ExpectAnswer(1);
  ExpectSmall();
}

TEST_F(HostileStreamTest, HalfOpenConnectionsMakeRoom) {
  std::vector<std::unique_ptr<ByteChannel>> strangers;
  for (int i = 0; i < 400; ++i) {
    ASSERT_OK_AND_ASSIGN(auto stranger, Stranger());
    (void)stranger->Send("GET /attach/");
    strangers.push_back(std::move(stranger));
    if (i % 100 == 0) ExpectAnswer(i);
  }
  ExpectAnswer(1);
  // The first ones had to go; the others have ten seconds.
  EXPECT_TRUE(Ends(*strangers.front()));
  EXPECT_TRUE(Ends(*strangers.back()));
  ExpectSmall();
}

TEST_F(HostileStreamTest, HeadersThatInflateEndTheSession) {
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web_.pod));
  const std::string bomb = client->Compress(
      SpdyClient::Block({{"streamtype", std::string(8 << 20, 'x')}}));
  EXPECT_LT(bomb.size(), 16'000U);
  ASSERT_OK(client->Send(SpdyClient::ControlFrame(
      1, 0, std::string("\0\0\0\1\0\0\0\0\0\0", 10) + bomb)));
  EXPECT_FALSE(client->PumpUntil([] { return false; }).ok());
  EXPECT_TRUE(client->went_away());
  EXPECT_TRUE(client->closed());
  ExpectAnswer(1);
  ExpectSmall();
}

TEST_F(HostileStreamTest, AMillionStreamsAreRefused) {
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web_.pod));
  const std::string block = SpdyClient::Block({{"streamtype", "error"}});
  // The same block again and again is the same bytes, after some.
  std::string compressed;
  const auto frame = [&](uint32_t id) {
    std::string payload;
    for (int shift = 24; shift >= 0; shift -= 8) {
      payload.push_back(static_cast<char>(id >> shift));
    }
    return SpdyClient::ControlFrame(
        1, 0, payload + std::string(6, '\0') + compressed);
  };
  uint32_t id = 1;
  std::string last;
  do {
    last = compressed;
    compressed = client->Compress(block);
    ASSERT_OK(client->Send(frame(id)));
    id += 2;
  } while (last != compressed && id < 2000);
  ASSERT_EQ(last, compressed);
  for (int i = 0; i < 1000; ++i) {
    std::string frames;
    for (int j = 0; j < 1000; ++j, id += 2) frames += frame(id);
    ASSERT_OK(client->Send(frames));
  }
  // It has kept up: a ping is answered.
  ASSERT_OK(client->Ping(99));
  ASSERT_OK(client->PumpUntil([&] { return !client->pings().empty(); },
                              absl::Minutes(1)));
  ExpectAnswer(1);
  ExpectSmall();
}

TEST_F(HostileStreamTest, HalvesOfPairsThatAreResetTakeNoRoom) {
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web_.pod));
  for (uint32_t id = 1; id < 100'000; id += 2) {
    std::string number;
    for (int shift = 24; shift >= 0; shift -= 8) {
      number.push_back(static_cast<char>(id >> shift));
    }
    const std::string block = client->Compress(SpdyClient::Block(
        {{"streamtype", "data"},
         {"port", "80"},
         {"requestid", absl::StrCat(std::string(50, 'x'), id)}}));
    ASSERT_OK(client->Send(
        SpdyClient::ControlFrame(1, 0, number + std::string(6, '\0') + block) +
        SpdyClient::ControlFrame(3, 0, number + std::string("\0\0\0\5", 4))));
  }
  ASSERT_OK(client->Ping(99));
  ASSERT_OK(client->PumpUntil([&] { return !client->pings().empty(); }));
  ExpectSmall();
  ExpectAnswer(1);
}

TEST_F(HostileStreamTest, WhoDoesNotReadIsNotWrittenFor) {
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web_.pod));
  std::vector<Pair> pairs;
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, i));
    ASSERT_OK(
        client->Write(*pair.data, "GET /bytes?n=100000000 HTTP/1.1\r\n\r\n"));
    pairs.push_back(pair);
  }
  // Pings by the million, whose answers are not read either.
  const std::string ping =
      SpdyClient::ControlFrame(6, 0, std::string("\0\0\0\1", 4));
  std::string pings;
  for (int i = 0; i < 10'000; ++i) pings += ping;
  size_t sent = 0;
  for (int idle = 0; idle < 20 && sent < (64U << 20);) {
    ASSERT_OK_AND_ASSIGN(const size_t n, client->channel().SendSome(
                                             pings, absl::Milliseconds(100)));
    sent += n;
    idle = n == 0 ? idle + 1 : 0;
  }
  EXPECT_LT(sent, 64U << 20);
  ExpectAnswer(1);
  ExpectSmall();
}

TEST_F(HostileStreamTest, StreamsThatFitNowhereAreReset) {
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web_.pod));
  ASSERT_OK_AND_ASSIGN(const auto odd,
                       client->Open({{"streamtype", "other"}, {"port", "80"}}));
  ASSERT_OK(client->PumpUntil([&] { return odd->reset != 0; }));
  for (const char* port : {"", "0", "65536", "-1", "80x"}) {
    ASSERT_OK_AND_ASSIGN(
        const auto error,
        client->Open({{"streamtype", "error"}, {"port", port}}));
    ASSERT_OK_AND_ASSIGN(const std::string message, client->ReadToEnd(*error));
    EXPECT_THAT(message, HasSubstr("is no TCP port"));
  }
  // The same again, before its pair is whole.
  SpdyClient::Headers headers = {
      {"port", "80"}, {"requestid", "7"}, {"streamtype", "error"}};
  ASSERT_OK(client->Open(headers));
  ASSERT_OK_AND_ASSIGN(const auto again, client->Open(headers));
  ASSERT_OK(client->PumpUntil([&] { return again->reset != 0; }));
  headers.back().second = "data";
  ASSERT_OK_AND_ASSIGN(const auto data, client->Open(headers));
  ASSERT_OK(client->Write(*data, kGetRoot));
  EXPECT_OK(client->ReadToEnd(*data));
}

}  // namespace
}  // namespace serai::testing
