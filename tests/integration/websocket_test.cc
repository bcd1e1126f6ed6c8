// SPDX-License-Identifier: Apache-2.0
// Attach and port-forward by WebSocket, and both by TLS.
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "tests/integration/certificates.h"
#include "tests/integration/streaming_fixture.h"
#include "tests/support/websocket_client.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class WebSocketTest : public StreamingFixture {
 protected:
  // What comes on a channel until `text` does, or the connection ends.
  static std::string ReadUntil(WebSocketClient& client, int channel,
                               absl::string_view text) {
    std::string all;
    while (!absl::StrContains(all, text)) {
      const auto message = client.Receive();
      if (!message.ok() || message->opcode == WebSocketClient::kClose) break;
      if (message->data.empty() || message->data[0] != channel) continue;
      all += message->data.substr(1);
    }
    return all;
  }
};

TEST_F(WebSocketTest, AConsoleIsAttachedTo) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const std::string url, AttachUrl(web.container, true));
  ASSERT_OK_AND_ASSIGN(const auto client,
                       WebSocketClient::Connect(
                           url, {"v5.channel.k8s.io", "v4.channel.k8s.io"}));
  EXPECT_EQ(client->protocol(), "v5.channel.k8s.io");
  // stdout's empty message says that it stands.
  ASSERT_OK_AND_ASSIGN(const auto first, client->Receive());
  EXPECT_EQ(first.opcode, WebSocketClient::kBinary);
  EXPECT_EQ(first.data, std::string("\x01"));
  EXPECT_THAT(ReadUntil(*client, 1, "healthz"), HasSubstr("listening on"));
  // Input is forgotten, and its end is no end.
  ASSERT_OK(client->Send(WebSocketClient::kBinary,
                         std::string(1, '\0') + std::string(100'000, 'x')));
  ASSERT_OK(client->Send(WebSocketClient::kBinary, std::string("\xff\x00", 2)));
  ASSERT_OK(client->Send(WebSocketClient::kPing, "there?"));
  WebSocketClient::Message pong;
  while (pong.opcode != WebSocketClient::kPong) {
    ASSERT_OK_AND_ASSIGN(pong, client->Receive());
  }
  EXPECT_EQ(pong.data, "there?");
  (void)HttpGet(web.ip, 80, "/exit?code=0");
  EXPECT_THAT(ReadUntil(*client, 1, "exiting with"), HasSubstr("status 0"));
  EXPECT_THAT(ReadUntil(*client, 3, "Success"), HasSubstr("\"status\""));
  ASSERT_OK_AND_ASSIGN(const auto last, client->Receive());
  EXPECT_EQ(last.opcode, WebSocketClient::kClose);
  EXPECT_EQ(last.data, std::string("\x03\xe8"));  // 1000: normal
}

TEST_F(WebSocketTest, Base64IsForTextClients) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const std::string url, AttachUrl(web.container));
  ASSERT_OK_AND_ASSIGN(
      const auto client,
      WebSocketClient::Connect(url, {"v4.base64.channel.k8s.io"}));
  std::string console;
  while (!absl::StrContains(console, "listening on")) {
    ASSERT_OK_AND_ASSIGN(const auto message, client->Receive());
    ASSERT_EQ(message.opcode, WebSocketClient::kText);
    ASSERT_EQ(message.data[0], '1');
    std::string piece;
    ASSERT_TRUE(absl::Base64Unescape(message.data.substr(1), &piece));
    console += piece;
  }
}

TEST_F(WebSocketTest, PortsAreForwardedAsChannels) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const std::string url,
                       PortForwardUrl(web.pod, {80, 81}));
  ASSERT_OK_AND_ASSIGN(const auto client,
                       WebSocketClient::Connect(url, {"v4.channel.k8s.io"}));
  // Each channel begins with its port.
  for (int channel = 0; channel < 4; ++channel) {
    ASSERT_OK_AND_ASSIGN(const auto greeting, client->Receive());
    EXPECT_EQ(greeting.data,
              std::string({static_cast<char>(channel),
                           static_cast<char>(channel < 2 ? 80 : 81), '\0'}));
  }
  EXPECT_THAT(ReadUntil(*client, 3, "refused"), HasSubstr("port 81"));
  ASSERT_OK(
      client->Send(WebSocketClient::kBinary, std::string(1, '\0') + kGetRoot));
  // The pod's end is the connection's: no other is left.
  const std::string page = ReadUntil(*client, 0, "no such text");
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_THAT(page, HasSubstr("</html>"));
}

TEST_F(WebSocketTest, SpdyGoesThroughAWebSocket) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const std::string url, PortForwardUrl(web.pod));
  ASSERT_OK_AND_ASSIGN(auto socket, WebSocketClient::Connect(
                                        url, {"SPDY/3.1+portforward.k8s.io"}));
  EXPECT_EQ(socket->protocol(), "SPDY/3.1+portforward.k8s.io");
  SpdyClient client(WebSocketClient::AsBytes(std::move(socket)));
  ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(client, 80, 0));
  BytesChecker checker;
  pair.data->sink = [&](absl::string_view data) { checker.Take(data); };
  ASSERT_OK(client.Write(*pair.data, "GET /bytes?n=1000000 HTTP/1.0\r\n\r\n"));
  ASSERT_OK(client.PumpUntil([&] { return pair.data->over(); }));
  EXPECT_EQ(checker.size(), 1'000'000U);
  EXPECT_TRUE(checker.right());
}

TEST_F(WebSocketTest, WhatCannotBeSpokenIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(std::string url, PortForwardUrl(web.pod));
  auto refused = WebSocketClient::Connect(url, {"v4.channel.k8s.io"}).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("1 to 64 ports"));
  ASSERT_OK_AND_ASSIGN(url, AttachUrl(web.container));
  refused = WebSocketClient::Connect(url, {"chat"}).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("403"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("v5.channel.k8s.io"));
}

class TlsTest : public StreamingFixture {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
  }
  std::string Config(bool clients) const {
    return absl::StrCat(
        "[streaming]\ntls_certificate = \"", pki_.certificate(),
        "\"\ntls_key = \"", pki_.key(), "\"\n",
        clients ? absl::StrCat("tls_client_ca = \"", pki_.ca(), "\"\n") : "");
  }
  const TestPki pki_;
};

TEST_F(TlsTest, UrlsAreHttpsAndCarryEverything) {
  StartNode(Config(false));
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const std::string url, PortForwardUrl(web.pod));
  EXPECT_TRUE(absl::StartsWith(url, "https://127.0.0.1:"));
  ASSERT_OK_AND_ASSIGN(
      const auto client,
      SpdyClient::Connect(url, {"portforward.k8s.io"}, {pki_.ca(), "", ""}));
  ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, 0));
  BytesChecker checker;
  pair.data->sink = [&](absl::string_view data) { checker.Take(data); };
  ASSERT_OK(client->Write(*pair.data, "GET /bytes?n=3000000 HTTP/1.0\r\n\r\n"));
  ASSERT_OK(client->PumpUntil([&] { return pair.data->over(); }));
  EXPECT_EQ(checker.size(), 3'000'000U);
  EXPECT_TRUE(checker.right());

  ASSERT_OK_AND_ASSIGN(const std::string attach, AttachUrl(web.container));
  ASSERT_OK_AND_ASSIGN(const auto console,
                       WebSocketClient::Connect(attach, {"v5.channel.k8s.io"},
                                                {pki_.ca(), "", ""}));
  ASSERT_OK_AND_ASSIGN(auto message, console->Receive());
  ASSERT_OK_AND_ASSIGN(message, console->Receive());
  EXPECT_THAT(message.data, HasSubstr("listening on"));
  // Without TLS there is nothing to be had.
  std::string plain = url;
  plain.replace(0, 5, "http");
  EXPECT_FALSE(SpdyClient::Connect(plain, {"portforward.k8s.io"}).ok());
}

TEST_F(TlsTest, ClientsHaveToShowTheirCertificateWhereOneIsAskedFor) {
  StartNode(Config(true));
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  EXPECT_FALSE(ForwardPorts(web.pod, {pki_.ca(), "", ""}).ok());
  ASSERT_OK_AND_ASSIGN(
      const auto client,
      ForwardPorts(web.pod, {pki_.ca(), pki_.certificate(), pki_.key()}));
  ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, 0));
  ASSERT_OK(client->Write(*pair.data, kGetRoot));
  EXPECT_OK(client->ReadToEnd(*pair.data));
}

}  // namespace
}  // namespace serai::testing
