// SPDX-License-Identifier: Apache-2.0
// Our guests with a network: a tap in a namespace of the test's own.

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/guests/testing/guest_network.h"
#include "tests/guests/testing/guest_process.h"
#include "tests/guests/testing/wire.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class GuestsNetTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (::access(TenderPath().c_str(), X_OK) != 0) {
      FAIL() << TenderPath() << " is not built";
    }
    SERAI_NEED("net");
    if (Target() == "hvt") SERAI_NEED("kvm");
    EnterGuestNetwork();
  }

  static bool HasRing() { return absl::string_view(GetParam()) == "ring"; }
  static std::string Target() { return HasRing() ? "hvt" : GetParam(); }
  static std::vector<std::string> Devices() {
    std::vector<std::string> devices = ServiceDevice();
    if (HasRing()) devices.push_back("--net-ring=on");
    return devices;
  }

  void StartWeb(std::vector<std::string> args = {}) {
    args.push_back(absl::StrCat("--ipv4=", kGuestAddress, "/24"));
    args.push_back("--ipv4-gateway=10.99.0.1");
    args.push_back("--ipv4-only=true");
    guest_ = std::make_unique<GuestProcess>(
        GuestSpec{"web", Target(), Devices(), args});
    ASSERT_TRUE(guest_->WaitForOutput("web: listening on http://10.99.0.2:80/"))
        << guest_->Output();
  }

  // The guest still does what it is for.
  void ExpectAlive() {
    EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(guest_->Running());
  }

  std::unique_ptr<GuestProcess> guest_;
};

// The ring is hvt's.
INSTANTIATE_TEST_SUITE_P(Targets, GuestsNetTest,
                         ::testing::Values("hvt", "spt", "ring"),
                         [](const auto& test) { return test.param; });

TEST_P(GuestsNetTest, TwoDevicesAreToldApart) {
  AddTap("guest1");
  const GuestResult result = RunGuest(
      {"twonets",
       Target(),
       {"--net:management=guest1", "--net-mac:management=02:00:00:00:00:03",
        absl::StrCat("--net:service=", kGuestTap),
        absl::StrCat("--net-mac:service=", kGuestMac)}});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(
      result.output,
      HasSubstr("service: handle 1, MAC 02:00:00:00:00:02, MTU 1500\n"
                "management: handle 2, MAC 02:00:00:00:00:03, MTU 1500\n"));
}

TEST_P(GuestsNetTest, EchoReturnsDatagrams) {
  guest_ = std::make_unique<GuestProcess>(
      GuestSpec{"echo", Target(), Devices(), {"--ipv4=10.99.0.2/24"}});
  ASSERT_TRUE(guest_->WaitForOutput("echo: listening")) << guest_->Output();
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval timeout = {5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  const sockaddr_in to = GuestPort(7);
  ASSERT_EQ(
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
      0);
  for (const size_t size : {0U, 1U, 100U, 1471U, 1472U}) {
    const std::string sent(size, static_cast<char>('a' + size % 26));
    ASSERT_EQ(::send(fd.get(), sent.data(), size, 0),
              static_cast<ssize_t>(size));
    std::array<char, 2000> buffer;
    const ssize_t received = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    ASSERT_EQ(received, static_cast<ssize_t>(size));
    EXPECT_EQ(std::string(buffer.data(), size), sent);
  }
}

TEST_P(GuestsNetTest, WebNamesItself) {
  StartWeb({"--name=<me>"});
  const std::string page = Get("/");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("Serai"));
  EXPECT_THAT(page, HasSubstr(absl::StrCat("for ", Target())));
  EXPECT_THAT(page, HasSubstr(kGuestAddress));
  EXPECT_THAT(page, HasSubstr("&lt;me&gt;"));
  EXPECT_TRUE(guest_->WaitForOutput("GET / 200 from 10.99.0.1\n"));
}

TEST_P(GuestsNetTest, WebSaysWhatIsWrongWithARequest) {
  StartWeb();
  EXPECT_THAT(Get("/nowhere"), StartsWith("HTTP/1.1 404 "));
  const auto ask = [](absl::string_view request) {
    const UniqueFd fd = Connect(80);
    return fd.valid() ? Exchange(fd.get(), request) : "";
  };
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(ask("rubbish\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nX: " + std::string(5000, 'x')),
              StartsWith("HTTP/1.1 431 "));
  ExpectAlive();
}

TEST_P(GuestsNetTest, WebLogsWhatItIsTold) {
  StartWeb();
  Get("/log?text=two+words%21");
  EXPECT_TRUE(guest_->WaitForOutput("\ntwo words!\n"));
}

TEST_P(GuestsNetTest, WebExitsWithTheCodeAskedFor) {
  StartWeb();
  EXPECT_THAT(Get("/exit?code=42"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(guest_->Wait(), 42);
}

TEST_P(GuestsNetTest, WebNeedsAnAddress) {
  for (const char* arg : {"--port=80", "--ipv4=10.0.0.1", "--ipv4=10.0.0/8",
                          "--ipv4=10.0.0.256/8", "--ipv4=10.0.0.1/33"}) {
    const GuestResult result = RunGuest({"web", Target(), Devices(), {arg}});
    EXPECT_EQ(result.status, 64) << result.output;
    EXPECT_THAT(result.output, HasSubstr("web: --ipv4"));
  }
}

TEST_P(GuestsNetTest, WebAnswersAThousandConnections) {
  StartWeb();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(Get("/"), StartsWith("HTTP/1.1 200 OK\r\n")) << i;
  }
}

TEST_P(GuestsNetTest, WebAnswersParallelClients) {
  StartWeb();
  constexpr int kClients = 16;
  constexpr int kRequests = 100;
  std::atomic<int> good = 0;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&good, client] {
      // Half of them keep their connection.
      const bool keep = client % 2 == 0;
      UniqueFd fd;
      for (int i = 0; i < kRequests; ++i) {
        if (!keep || !fd.valid()) fd = Connect(80);
        if (!fd.valid()) continue;
        const std::string answer =
            Exchange(fd.get(), keep ? "GET / HTTP/1.1\r\n\r\n"
                                    : "GET / HTTP/1.0\r\n\r\n");
        if (absl::StartsWith(answer, "HTTP/1.1 200 ") &&
            absl::EndsWith(answer, "</html>\n")) {
          ++good;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, kClients * kRequests);
}

TEST_P(GuestsNetTest, WebAnswersPings) {
  StartWeb();
  for (const size_t size : {0U, 1U, 56U, 1471U, 1472U}) {
    EXPECT_TRUE(Ping(size)) << size;
  }
}

TEST_P(GuestsNetTest, WebSurvivesMalformedFrames) {
  StartWeb();
  Wire wire;
  const std::string good =
      Segment(kHandmadeStation, {1234, 1, 0, kTcpSyn, 1000, "data"});
  // Cut off at every length.
  for (size_t size = 0; size <= good.size(); ++size) {
    wire.Send(good.substr(0, size));
  }
  // Every byte of the headers wrong in turn, in several ways. Wrong checksums
  // stop most; those bytes that no checksum covers get further.
  for (size_t i = 0; i < 54; ++i) {
    for (const int wrong : {0x00, 0x0f, 0x40, 0x4f, 0xf0, 0xff}) {
      std::string frame = good;
      frame[i] = static_cast<char>(wrong);
      wire.Send(frame);
    }
  }
  // Lengths that lie under a right header checksum: the IP header is rebuilt
  // around short and empty payloads of every protocol.
  for (const int protocol : {1, 2, 6, 17, 255}) {
    for (size_t size = 0; size < 24; ++size) {
      wire.Send(Packet(kHandmadeStation, static_cast<uint8_t>(protocol),
                       std::string(size, '\xff')));
      wire.Send(Packet(kHandmadeStation, static_cast<uint8_t>(protocol),
                       std::string(size, '\0')));
    }
  }
  // TCP data offsets of all values, options that do not end, all flags.
  for (uint32_t flags = 0; flags < 256; ++flags) {
    HandmadeSegment segment = {static_cast<uint16_t>(2000 + flags), flags, 1};
    segment.flags = static_cast<uint8_t>(flags);
    segment.data = std::string(flags, '\x02');
    wire.Send(Segment(kHandmadeStation, segment));
  }
  // ARP, short and strange.
  for (size_t size = 0; size < 40; ++size) {
    wire.Send(Frame(0x0806, std::string(size, '\x01')));
  }
  // Frames of the largest size, of nothing.
  wire.Send(Frame(0x0800, std::string(1500, 'E')));
  ExpectAlive();
  EXPECT_TRUE(Ping(56));
}

TEST_P(GuestsNetTest, WebMakesRoomForNewConnections) {
  StartWeb();
  Wire wire;
  for (uint32_t i = 0; i < 1000; ++i) {
    HandmadeSegment syn = {static_cast<uint16_t>(3000 + i), i, 0, kTcpSyn};
    wire.Send(Segment(kHandmadeStation, syn));
    if (i % 100 == 0) ExpectAlive();
  }
  // As many connections as there is room for, and more, that say nothing.
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 300; ++i) {
    idle.push_back(Connect(80));
    ASSERT_TRUE(idle.back().valid()) << i;
  }
  ExpectAlive();
}

// Opens a connection by hand; the guest's first sequence number after it.
std::optional<uint32_t> Handshake(Wire& wire, uint16_t port, uint16_t window) {
  wire.Send(Segment(kHandmadeStation, {port, 1000, 0, kTcpSyn, window, ""}));
  const auto answer = wire.Receive(port, absl::Seconds(5));
  if (!answer.has_value() || answer->flags != (kTcpSyn | kTcpAck) ||
      answer->acknowledgement != 1001) {
    return std::nullopt;
  }
  return answer->sequence + 1;
}

TEST_P(GuestsNetTest, WebSendsAgainWhatWasNotAcknowledged) {
  StartWeb();
  Wire wire;
  constexpr uint16_t kPort = 5000;
  // The handshake's answer, too.
  wire.Send(Segment(kHandmadeStation, {kPort, 1000, 0, kTcpSyn, 9000, ""}));
  const auto first = wire.Receive(kPort, absl::Seconds(5));
  const auto second = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(second->flags, kTcpSyn | kTcpAck);
  EXPECT_EQ(second->sequence, first->sequence);
  const uint32_t begin = first->sequence + 1;

  const std::string request = "GET /healthz HTTP/1.0\r\n\r\n";
  wire.Send(
      Segment(kHandmadeStation, {kPort, 1001, begin, kTcpAck, 9000, request}));
  const auto answer = wire.Receive(kPort, absl::Seconds(5));
  const auto again = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(answer.has_value() && again.has_value());
  EXPECT_THAT(answer->data, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(answer->acknowledgement, 1001 + request.size());
  EXPECT_TRUE((answer->flags & kTcpFin) != 0);
  EXPECT_EQ(again->sequence, answer->sequence);
  EXPECT_EQ(again->data, answer->data);

  // Once all is acknowledged and closed there is silence, and the connection is
  // forgotten: what comes later is reset.
  const uint32_t end = begin + static_cast<uint32_t>(answer->data.size()) + 1;
  const auto sequence = static_cast<uint32_t>(1001 + request.size());
  wire.Send(Segment(kHandmadeStation,
                    {kPort, sequence, end, kTcpAck | kTcpFin, 9000, ""}));
  const auto last = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->acknowledgement, sequence + 1);
  EXPECT_FALSE(wire.Receive(kPort, absl::Seconds(1)).has_value());
  wire.Send(Segment(kHandmadeStation,
                    {kPort, sequence + 1, end, kTcpAck, 9000, "x"}));
  const auto reset = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(reset.has_value());
  EXPECT_EQ(reset->flags, kTcpRst);
  ExpectAlive();
}

TEST_P(GuestsNetTest, WebPutsUpWithGapsRepeatsAndSmallWindows) {
  StartWeb();
  Wire wire;
  constexpr uint16_t kPort = 5001;
  const auto begin = Handshake(wire, kPort, 100);
  ASSERT_TRUE(begin.has_value());
  const std::string request = "GET /healthz HTTP/1.1\r\n\r\n";
  const auto send = [&](size_t from, size_t to, uint32_t acknowledgement) {
    wire.Send(
        Segment(kHandmadeStation,
                {kPort, static_cast<uint32_t>(1001 + from), acknowledgement,
                 kTcpAck, 100, request.substr(from, to - from)}));
  };
  // The end before the beginning: asked for again.
  send(10, request.size(), *begin);
  auto answer = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->acknowledgement, 1001U);
  // The beginning, twice; then all of it, which overlaps what is known.
  send(0, 10, *begin);
  answer = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->acknowledgement, 1011U);
  send(0, 10, *begin);
  answer = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->acknowledgement, 1011U);
  send(0, request.size(), *begin);
  // The answer comes in pieces no larger than the window.
  std::string text;
  while (!absl::StrContains(text, "ok\n")) {
    answer = wire.Receive(kPort, absl::Seconds(5));
    ASSERT_TRUE(answer.has_value()) << text;
    if (answer->data.empty()) continue;
    EXPECT_LE(answer->data.size(), 100);
    ASSERT_EQ(answer->sequence, *begin + text.size());
    text += answer->data;
    send(request.size(), request.size(),
         *begin + static_cast<uint32_t>(text.size()));
  }
  EXPECT_THAT(text, StartsWith("HTTP/1.1 200 OK"));
  // A reset with the right number ends it at once.
  wire.Send(Segment(
      kHandmadeStation,
      {kPort, static_cast<uint32_t>(1001 + request.size()), 0, kTcpRst}));
  wire.Send(Segment(
      kHandmadeStation,
      {kPort, static_cast<uint32_t>(1001 + request.size()), 0, kTcpAck}));
  answer = wire.Receive(kPort, absl::Seconds(5));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->flags, kTcpRst);
  ExpectAlive();
}

}  // namespace
}  // namespace serai::testing
