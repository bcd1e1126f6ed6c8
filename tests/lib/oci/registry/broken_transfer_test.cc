// SPDX-License-Identifier: Apache-2.0
// Transfers that break, and when they are tried again.
#include <cstdio>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "tests/lib/oci/registry/client_fixture.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;

// A registry whose connections break; `begins` has where each request began.
class BrokenTransferTest : public ClientTest {
 protected:
  // Answers with what was asked for, but at most `piece` bytes of it.
  void ServeRanges(size_t piece) {
    answer_ = [=, this](const HttpServerRequest& request, Reply& reply) {
      const size_t begin = Begin(request);
      const std::string rest = std::string(kContent).substr(begin);
      const std::string head = begin == 0 ? "200 OK" : "206 Partial Content";
      reply.Send(absl::StrCat("HTTP/1.1 ", head, "\r\nContent-Length: ",
                              rest.size(), "\r\nContent-Range: bytes ", begin,
                              "-20/21\r\n\r\n", rest.substr(0, piece)));
    };
  }
  static size_t Begin(const HttpServerRequest& request) {
    const auto range = request.headers.find("range");
    if (range == request.headers.end()) return 0;
    size_t begin = 0;
    EXPECT_EQ(std::sscanf(range->second.c_str(), "bytes=%zu-", &begin), 1);
    return begin;
  }
  std::vector<size_t> Begins() const {
    std::vector<size_t> begins;
    for (const auto& request : server_.requests()) {
      begins.push_back(Begin(request));
    }
    return begins;
  }
};

TEST_F(BrokenTransferTest, GoesOnWhereItBroke) {
  ServeRanges(7);
  ASSERT_OK(GetBlob());
  EXPECT_EQ(*layout_->ReadBlob(DigestOf(kContent)), kContent);
  EXPECT_THAT(Begins(), ElementsAre(0, 7, 14));
}

TEST_F(BrokenTransferTest, ProgressGivesNewTries) {
  options_.attempts = 2;
  ServeRanges(3);
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kUnavailable, ""));
  EXPECT_THAT(Begins(), ElementsAre(0, 3));
  options_.progress_bytes = 3;
  EXPECT_OK(GetBlob());
}

// A registry could go on so for ever.
TEST_F(BrokenTransferTest, WhatIsFetchedAgainIsNoProgress) {
  options_.attempts = 2;
  options_.progress_bytes = 3;
  answer_ = [this](const HttpServerRequest& request, Reply& reply) {
    if (server_.requests().size() > 20) return reply.Answer(404, "");
    if (Begin(request) > 0) return reply.Answer(416, "");
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
  };
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kUnavailable, ""));
  EXPECT_THAT(Begins(), ElementsAre(0, 7, 0));
}

TEST_F(BrokenTransferTest, AHostWithoutRangesIsAskedForAll) {
  answer_ = [this](const HttpServerRequest&, Reply& reply) {
    if (server_.requests().size() > 1) return reply.Answer(200, kContent);
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
  };
  ASSERT_OK(GetBlob());
  EXPECT_THAT(Begins(), ElementsAre(0, 7));
}

TEST_F(BrokenTransferTest, AnotherRangeThanAskedForIsNotTaken) {
  for (const char* range :
       {"Content-Range: bytes 0-20/21\r\n", "Content-Range: bytes 7-20/22\r\n",
        "Content-Range: bytes\r\n", "Content-Range: lines 7-20/21\r\n", ""}) {
    int count = 0;
    answer_ = [&](const HttpServerRequest&, Reply& reply) {
      if (++count == 2) return reply.Answer(206, "tent of a blob", range);
      if (count == 3) return reply.Answer(200, kContent);
      reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
    };
    SCOPED_TRACE(range);
    EXPECT_OK(GetBlob());
    EXPECT_EQ(count, 3);
    EXPECT_EQ(Begin(server_.requests().back()), 0u);
    ASSERT_OK(layout_->RemoveBlob(DigestOf(kContent)));
  }
  int count = 0;
  answer_ = [&](const HttpServerRequest&, Reply& reply) {
    if (++count == 2) return reply.Answer(416, "");
    if (count == 3) return reply.Answer(200, kContent);
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
  };
  EXPECT_OK(GetBlob());
}

TEST_F(BrokenTransferTest, WhatABadHostBeganIsFetchedAnew) {
  int count = 0;
  answer_ = [&](const HttpServerRequest& request, Reply& reply) {
    if (++count == 1) {
      reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nTHE CON");
    } else if (Begin(request) == 7) {
      reply.Answer(206, "tent of a blob", "Content-Range: bytes 7-20/21\r\n");
    } else {
      reply.Answer(200, kContent);
    }
  };
  ASSERT_OK(GetBlob());
  EXPECT_EQ(*layout_->ReadBlob(DigestOf(kContent)), kContent);
  EXPECT_THAT(Begins(), ElementsAre(0, 7, 0));
}

TEST_F(BrokenTransferTest, AStalledTransferIsTriedAgain) {
  options_.limits.low_speed_time = absl::Seconds(1);
  std::atomic<int> count = 0;
  answer_ = [&](const HttpServerRequest& request, Reply& reply) {
    if (++count == 2) {
      EXPECT_EQ(Begin(request), 7u);
      return reply.Answer(206, "tent of a blob",
                          "Content-Range: bytes 7-20/21\r\n");
    }
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
    while (!done_) absl::SleepFor(absl::Milliseconds(20));
  };
  EXPECT_OK(GetBlob());
  done_ = true;
}

TEST_F(ClientTest, StaysAwayAsLongAsTheRegistryAsks) {
  const absl::Time start = absl::Now();
  answer_ = [this](const HttpServerRequest&, Reply& reply) {
    if (server_.requests().size() > 1) return reply.Answer(200, kContent);
    reply.Answer(429, "", "Retry-After: 1\r\n");
  };
  EXPECT_OK(GetBlob());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(900));
  ASSERT_OK(layout_->RemoveBlob(DigestOf(kContent)));
  // That is longer than a pull should wait.
  Answer(503, "", "Retry-After: 3600\r\n");
  const size_t before = server_.requests().size();
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kUnavailable,
                                   "HTTP status 503 (come back in 1h)"));
  EXPECT_EQ(server_.requests().size(), before + 1);
  // A date of the past asks for nothing; neither does what is no date.
  for (const char* text : {"Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1"}) {
    Answer(503, "", absl::StrCat("Retry-After: ", text, "\r\n"));
    EXPECT_TRUE(absl::EndsWith(GetBlob().message(), "503")) << text;
  }
}

TEST_F(ClientTest, AWaitBetweenTriesCanBeCancelled) {
  options_.first_wait = absl::Hours(1);
  options_.max_wait = absl::Hours(1);
  Answer(500, "");
  auto reference = Reference::Parse(absl::StrCat(server_.host(), "/a/b:1"));
  auto client = RegistryClient::Create(
      *reference, {}, options_, RegistryClient::Access::kPull,
      [this] { return !server_.requests().empty(); });
  ASSERT_OK(client);
  EXPECT_FALSE((*client)->GetManifest("1", {}).ok());
  EXPECT_EQ(server_.requests().size(), 1u);
}

}  // namespace
}  // namespace serai::oci
