// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/http_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "lib/base/unique_fd.h"
#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpEndpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(
        endpoint_,
        HttpEndpoint::Listen("127.0.0.1:0", [this](Exposition exposition) {
          ++scrapes_;
          return exposition == Exposition::kOpenMetrics ? "open" : "plain";
        }));
  }

  UniqueFd Connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    uint32_t port = 0;
    const std::string& name = endpoint_->address();
    EXPECT_TRUE(absl::SimpleAtoi(name.substr(name.rfind(':') + 1), &port));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                        sizeof(address)),
              0);
    // A test that goes wrong shall end.
    const timeval patience = {20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof(patience));
    return fd;
  }

  static void Send(const UniqueFd& fd, const std::string& text) {
    // A peer that has closed already says so when it is read.
    (void)::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  // Until the peer closes.
  static std::string ReadAll(const UniqueFd& fd) {
    std::string all;
    std::array<char, 4096> chunk;
    ssize_t n = 0;
    while ((n = ::recv(fd.get(), chunk.data(), chunk.size(), 0)) > 0) {
      all.append(chunk.data(), static_cast<size_t>(n));
    }
    EXPECT_TRUE(n == 0 || errno == ECONNRESET) << "the peer does not close";
    return all;
  }

  std::string Ask(const std::string& request) const {
    const UniqueFd fd = Connect();
    Send(fd, request);
    return ReadAll(fd);
  }

  int scrapes_ = 0;
  std::unique_ptr<HttpEndpoint> endpoint_;
};

constexpr char kClose[] = "Host: x\r\nConnection: close\r\n\r\n";

TEST_F(HttpEndpointTest, MetricsAreAnsweredInTheWantedFormat) {
  const std::string plain =
      Ask(absl::StrCat("GET /metrics HTTP/1.1\r\n", kClose));
  EXPECT_THAT(plain, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(plain, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(plain, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(plain, EndsWith("\r\n\r\nplain"));
  const std::string open = Ask(absl::StrCat(
      "GET /metrics?a=b HTTP/1.1\r\nAccept: application/openmetrics-text\r\n",
      kClose));
  EXPECT_THAT(open, HasSubstr("Content-Type: application/openmetrics-text; "
                              "version=1.0.0; charset=utf-8\r\n"));
  EXPECT_THAT(open, EndsWith("\r\n\r\nopen"));
}

TEST_F(HttpEndpointTest, AConnectionServesSeveralScrapes) {
  const UniqueFd fd = Connect();
  Send(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  Send(fd, absl::StrCat("HEAD /metrics HTTP/1.1\r\n", kClose));
  const std::string both = ReadAll(fd);
  EXPECT_THAT(both, HasSubstr("\r\n\r\nplainHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(both, EndsWith("\r\n\r\n"));
  EXPECT_EQ(scrapes_, 2);
}

TEST_F(HttpEndpointTest, OtherPathsAndMethodsAreRefused) {
  EXPECT_THAT(Ask(absl::StrCat("GET / HTTP/1.1\r\n", kClose)),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
  const std::string refused =
      Ask(absl::StrCat("DELETE /metrics HTTP/1.1\r\n", kClose));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(refused, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_EQ(scrapes_, 0);
}

TEST_F(HttpEndpointTest, WhatIsNoRequestClosesTheConnection) {
  EXPECT_EQ(Ask("\x16\x03\x01 hello\r\n\r\n"), "");
  EXPECT_EQ(Ask(absl::StrCat("GET /metrics HTTP/1.1\r\nX: ",
                             std::string(16 << 10, 'x'), "\r\n\r\n")),
            "");
  EXPECT_EQ(scrapes_, 0);
}

TEST_F(HttpEndpointTest, ConnectionsAreLimitedInNumber) {
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 16; ++i) idle.push_back(Connect());
  // Those are accepted in their order, and the next is one too many.
  EXPECT_EQ(ReadAll(Connect()), "");
  idle.pop_back();
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); ++i) {
    answer = Ask(absl::StrCat("GET /metrics HTTP/1.1\r\n", kClose));
  }
  EXPECT_THAT(answer, EndsWith("plain"));
}

TEST_F(HttpEndpointTest, ATakenPortIsSaid) {
  EXPECT_THAT(HttpEndpoint::Listen(endpoint_->address(),
                                   [](Exposition) { return std::string(); }),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat("can't listen on ", endpoint_->address(),
                                     ": Address already in use")));
}

TEST_F(HttpEndpointTest, WhatIsNoAddressIsSaid) {
  for (const char* address :
       {"9469", "localhost:9469", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000",
        "127.0.0.1:-1", "[::1:9469", ":9469", "127.0.0.1:94 69"}) {
    EXPECT_THAT(
        HttpEndpoint::Listen(address, [](Exposition) { return std::string(); }),
        HasStatus(absl::StatusCode::kInvalidArgument, address))
        << address;
  }
}

TEST_F(HttpEndpointTest, ItEndsWithPeersConnected) {
  const UniqueFd idle = Connect();
  const UniqueFd half = Connect();
  Send(half, "GET /metr");
  endpoint_ = nullptr;
  std::array<char, 1> byte;
  EXPECT_LE(::recv(idle.get(), byte.data(), byte.size(), 0), 0);
}

}  // namespace
}  // namespace serai::cri
