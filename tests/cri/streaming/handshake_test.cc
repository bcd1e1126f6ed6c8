// SPDX-License-Identifier: Apache-2.0
// What comes before the streams: tokens, requests, protocols, channels.
#include <set>

#include "cri/streaming/channel_message.h"
#include "cri/streaming/channel_sets.h"
#include "cri/streaming/error_status.h"
#include "cri/streaming/listen_address.h"
#include "cri/streaming/token_cache.h"
#include "cri/streaming/upgrade.h"
#include "tests/support/status_matchers.h"

namespace serai::cri::streaming {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Duration kNow = absl::Hours(1);

TEST(TokenCacheTest, ATokenServesOnce) {
  TokenCache cache;
  ASSERT_OK_AND_ASSIGN(const std::string token,
                       cache.Insert(AttachRequest{"c"}, kNow));
  EXPECT_GE(token.size(), 22U);  // 128 bits
  ASSERT_OK_AND_ASSIGN(const Request request, cache.Take(token, kNow));
  EXPECT_EQ(std::get<AttachRequest>(request).container, "c");
  EXPECT_EQ(cache.Take(token, kNow).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(cache.Take("", kNow).status().code(), absl::StatusCode::kNotFound);
}

TEST(TokenCacheTest, ATokenServesForAMinute) {
  TokenCache cache;
  ASSERT_OK_AND_ASSIGN(const std::string token,
                       cache.Insert(PortForwardRequest{"p", {80}}, kNow));
  EXPECT_EQ(cache.Take(token, kNow + absl::Seconds(60)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(TokenCacheTest, TokensDifferAndTheirNumberIsBounded) {
  TokenCache cache;
  std::set<std::string> tokens;
  for (size_t i = 0; i < TokenCache::kMaxTokens; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::string token,
                         cache.Insert(AttachRequest{}, kNow));
    tokens.insert(token);
  }
  EXPECT_EQ(tokens.size(), TokenCache::kMaxTokens);
  EXPECT_EQ(cache.Insert(AttachRequest{}, kNow).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_OK(cache.Insert(AttachRequest{}, kNow + absl::Minutes(1)));
}

TEST(UpgradeTest, PathsAreKnown) {
  ASSERT_OK_AND_ASSIGN(const Target target, ParseTarget("/attach/abc?x=/y"));
  EXPECT_EQ(target.action, "attach");
  EXPECT_EQ(target.token, "abc");
  for (const char* bad : {"", "/", "/attach", "/attach/", "/attach/a/b",
                          "attach/a", "/other/a", "http://x/attach/a"}) {
    EXPECT_FALSE(ParseTarget(bad).ok()) << bad;
  }
}

TEST(UpgradeTest, RequestsAreToldApart) {
  UpgradeRequest request;
  EXPECT_FALSE(UpgradeOf(request).ok());
  request = {"POST", "/", "keep-alive, Upgrade", "SPDY/3.1", {}, {}};
  EXPECT_EQ(*UpgradeOf(request), Upgrade::kSpdy);
  request.upgrade = "WebSocket";
  EXPECT_FALSE(UpgradeOf(request).ok());
  request.method = "GET";
  EXPECT_EQ(*UpgradeOf(request), Upgrade::kWebSocket);
  request.connection = "close";
  EXPECT_FALSE(UpgradeOf(request).ok());
}

TEST(UpgradeTest, TheClientsFirstKnownProtocolIsTaken) {
  EXPECT_EQ(*Negotiate(
                {"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io"},
                AttachSpdyProtocols()),
            "v4.channel.k8s.io");
  EXPECT_EQ(
      Negotiate({"v9.channel.k8s.io"}, AttachSpdyProtocols()).status().code(),
      absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Negotiate({}, AttachSpdyProtocols()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*NegotiateWebSocket({}, AttachWebSocketProtocols()), "");
  EXPECT_THAT(SplitList(" a, b,,c "), ElementsAre("a", "b", "c"));
}

TEST(ChannelMessageTest, MessagesAreBinaryOrBase64) {
  const ChannelProtocol binary = ChannelProtocolOf("v4.channel.k8s.io");
  const std::string bytes("\x01\x00hello", 7);
  ASSERT_OK_AND_ASSIGN(ChannelMessage message,
                       DecodeChannelMessage(binary, bytes));
  EXPECT_EQ(message.channel, 1);
  EXPECT_EQ(message.data, std::string("\0hello", 6));
  EXPECT_EQ(EncodeChannelMessage(binary, 1, message.data), bytes);

  const ChannelProtocol base64 = ChannelProtocolOf("v4.base64.channel.k8s.io");
  EXPECT_EQ(EncodeChannelMessage(base64, 2, "foo\n"), "2Zm9vCg==");
  ASSERT_OK_AND_ASSIGN(message, DecodeChannelMessage(base64, "0Zm9vCg=="));
  EXPECT_EQ(message.data, "foo\n");
  EXPECT_FALSE(DecodeChannelMessage(base64, "0?").ok());
  EXPECT_FALSE(DecodeChannelMessage(base64, "!Zg==").ok());
}

TEST(ChannelMessageTest, OnlyVersionFiveEndsChannels) {
  const std::string end("\xff\x00", 2);
  ASSERT_OK_AND_ASSIGN(
      ChannelMessage message,
      DecodeChannelMessage(ChannelProtocolOf("v5.channel.k8s.io"), end));
  EXPECT_TRUE(message.end);
  EXPECT_EQ(message.channel, 0);
  ASSERT_OK_AND_ASSIGN(
      message,
      DecodeChannelMessage(ChannelProtocolOf("v4.channel.k8s.io"), end));
  EXPECT_FALSE(message.end);
  EXPECT_EQ(message.channel, 255);
  EXPECT_FALSE(
      DecodeChannelMessage(ChannelProtocolOf("v5.channel.k8s.io"), "\xff")
          .ok());
}

TEST(ChannelSetsTest, PortsBeginWithTheirNumber) {
  ASSERT_OK_AND_ASSIGN(const ChannelSet set, PortForwardChannels({80, 8080}));
  ASSERT_EQ(set.channels.size(), 4U);
  EXPECT_EQ(set.greetings[2].first, 2);
  EXPECT_EQ(set.greetings[2].second, "\x90\x1f");
  EXPECT_FALSE(PortForwardChannels({}).ok());
}

TEST(StatusTest, AStatusIsKubernetes) {
  EXPECT_EQ(StatusJson(absl::OkStatus()),
            R"({"metadata":{},"status":"Success"})");
  EXPECT_THAT(StatusJson(absl::NotFoundError("no \xff")),
              HasSubstr(R"("reason":"NotFound")"));
}

TEST(ListenAddressTest, AddressesAreCheckedAndBecomeUrls) {
  const auto url = [](const char* text) {
    const auto endpoint = ParseListenAddress(text);
    return endpoint.ok() ? UrlOf("http", *endpoint)
                         : std::string(endpoint.status().message());
  };
  EXPECT_EQ(url("127.0.0.1:80"), "http://127.0.0.1:80");
  EXPECT_EQ(url("0.0.0.0:81"), "http://127.0.0.1:81");
  EXPECT_EQ(url("[::]:82"), "http://[::1]:82");
  for (const char* bad : {"", "80", ":80", "localhost:80", "127.0.0.1:x",
                          "127.0.0.1:65536", "::1:80", "127.0.0.1"}) {
    EXPECT_THAT(url(bad), HasSubstr("is no address to listen on")) << bad;
  }
}

}  // namespace
}  // namespace serai::cri::streaming
