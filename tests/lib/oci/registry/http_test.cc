// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/http.h"

#include <fcntl.h>

#include <atomic>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::HttpServer;
using ::serai::testing::HttpServerRequest;
using ::serai::testing::TempDir;

using Reply = HttpServer::Reply;

HttpRequest Get(const HttpServer& server, absl::string_view path) {
  HttpRequest request;
  request.url = absl::StrCat("http://", server.host(), path);
  request.max_body = 1 << 20;
  return request;
}

std::string Redirect(absl::string_view to) {
  return absl::StrCat("Location: ", to, "\r\n");
}

TEST(HttpTest, GivesStatusHeadersAndBody) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(200, "hello", "X-Thing:  a b \r\n");
  });
  HttpSession session({}, nullptr);
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       session.Do(Get(server, "/a?b=c")));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("x-thing"), "a b");
  EXPECT_EQ(response.Header("x-other"), "");
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(server.requests()[0].query, "b=c");
}

TEST(HttpTest, SecretsStayWithTheirOrigin) {
  HttpServer other([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(200, "moved");
  });
  HttpServer server([&](const HttpServerRequest& request, Reply& reply) {
    if (request.path == "/first") return reply.Answer(307, "", Redirect("/b"));
    reply.Answer(302, "",
                 Redirect(absl::StrCat("http://", other.host(), "/c")));
  });
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/first");
  request.headers = {{"Accept", "text/plain"}};
  request.origin_headers = {{"Authorization", "Basic c2VjcmV0"},
                            {"X-Key", "secret"}};
  ASSERT_OK_AND_ASSIGN(const HttpResponse response, session.Do(request));
  EXPECT_EQ(response.body, "moved");
  ASSERT_EQ(server.requests().size(), 2u);
  EXPECT_EQ(server.requests()[1].headers.count("authorization"), 1u);
  ASSERT_EQ(other.requests().size(), 1u);
  EXPECT_EQ(other.requests()[0].headers.at("accept"), "text/plain");
  EXPECT_EQ(other.requests()[0].headers.count("authorization"), 0u);
  EXPECT_EQ(other.requests()[0].headers.count("x-key"), 0u);
}

TEST(HttpTest, SecretsDoNotComeBackWithTheOrigin) {
  HttpServer* first = nullptr;
  HttpServer other([&](const HttpServerRequest&, Reply& reply) {
    reply.Answer(302, "",
                 Redirect(absl::StrCat("http://", first->host(), "/last")));
  });
  HttpServer server([&](const HttpServerRequest& request, Reply& reply) {
    if (request.path == "/last") return reply.Answer(200, "");
    reply.Answer(302, "", Redirect(absl::StrCat("http://", other.host())));
  });
  first = &server;
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/");
  request.origin_headers = {{"Authorization", "secret"}};
  ASSERT_OK(session.Do(request));
  EXPECT_EQ(server.requests()[1].headers.count("authorization"), 0u);
}

TEST(HttpTest, GivesUpARedirectLoop) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(301, "", Redirect("/again"));
  });
  HttpSession session({}, nullptr);
  EXPECT_THAT(session.Do(Get(server, "/")),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        "/again: more than 5 redirects"));
  EXPECT_EQ(server.requests().size(), 6u);
}

TEST(HttpTest, RefusesRedirectsToOtherSchemesAndToNowhere) {
  HttpServer server([](const HttpServerRequest& request, Reply& reply) {
    if (request.path == "/file") {
      return reply.Answer(302, "", Redirect("file:///etc/passwd"));
    }
    if (request.path == "/user") {
      return reply.Answer(302, "", Redirect("http://u:p@127.0.0.1/"));
    }
    reply.Answer(302, "");
  });
  HttpSession session({}, nullptr);
  constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(session.Do(Get(server, "/file")), HasStatus(kRefused, "scheme"));
  EXPECT_THAT(session.Do(Get(server, "/user")), HasStatus(kRefused, "user"));
  EXPECT_THAT(session.Do(Get(server, "/none")), HasStatus(kRefused, "nowhere"));
}

TEST(HttpTest, DoesNotFollowAnUpload) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(307, "", Redirect("/again"));
  });
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/");
  request.method = HttpMethod::kPut;
  request.body = "content";
  ASSERT_OK_AND_ASSIGN(const HttpResponse response, session.Do(request));
  EXPECT_EQ(response.status, 307);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(HttpTest, BoundsTheBodyInMemoryAndInTheSink) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\n\r\n");
    while (reply.Send(std::string(65536, 'x'))) {
    }
  });
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/endless");
  constexpr auto kTooMuch = absl::StatusCode::kResourceExhausted;
  EXPECT_THAT(session.Do(request), HasStatus(kTooMuch, "1048576 bytes"));
  size_t received = 0;
  request.sink = [&](absl::string_view piece) {
    received += piece.size();
    return absl::OkStatus();
  };
  EXPECT_THAT(session.Do(request),
              HasStatus(kTooMuch, absl::StrCat(server.host(), "/endless")));
  EXPECT_LE(received, 1u << 20);
}

TEST(HttpTest, BoundsHeaders) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\n");
    while (reply.Send(absl::StrCat("X: ", std::string(1000, 'x'), "\r\n"))) {
    }
  });
  HttpSession session({}, nullptr);
  EXPECT_THAT(session.Do(Get(server, "/")),
              HasStatus(absl::StatusCode::kResourceExhausted, "64 KiB"));
}

TEST(HttpTest, KeepsOnlyTheBeginningOfAnErrorsBody) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 500 Oops\r\n\r\n");
    while (reply.Send(std::string(65536, 'x'))) {
    }
  });
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/");
  request.sink = [](absl::string_view) {
    return absl::InternalError("not for the sink");
  };
  ASSERT_OK_AND_ASSIGN(const HttpResponse response, session.Do(request));
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body.size(), 16u << 10);
}

TEST(HttpTest, ReturnsTheSinksError) {
  HttpServer server([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(200, "hello");
  });
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/");
  request.sink = [](absl::string_view) {
    return absl::ResourceExhaustedError("disk full");
  };
  EXPECT_THAT(session.Do(request),
              HasStatus(absl::StatusCode::kResourceExhausted, "disk full"));
}

TEST(HttpTest, BrokenConnectionsAreUnavailable) {
  HttpServer server([](const HttpServerRequest& request, Reply& reply) {
    if (request.path == "/half") {
      reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    }
  });
  HttpSession session({}, nullptr);
  constexpr auto kGone = absl::StatusCode::kUnavailable;
  EXPECT_THAT(session.Do(Get(server, "/half")), HasStatus(kGone, "/half: "));
  EXPECT_THAT(session.Do(Get(server, "/none")), HasStatus(kGone, "/none: "));
  HttpRequest refused;
  refused.url = "http://127.0.0.1:1/x";
  EXPECT_THAT(session.Do(refused), HasStatus(kGone, "127.0.0.1:1/x: "));
}

TEST(HttpTest, GivesUpAServerThatStalls) {
  std::atomic<bool> over = false;
  HttpServer server([&](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    over.wait(false);
  });
  HttpLimits limits;
  limits.low_speed_time = absl::Seconds(1);
  HttpSession session(limits, nullptr);
  EXPECT_THAT(session.Do(Get(server, "/")),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "/: "));
  HttpSession patient({}, nullptr);
  HttpRequest request = Get(server, "/");
  request.timeout = absl::Milliseconds(50);
  EXPECT_THAT(patient.Do(request),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "/: "));
  over = true;
  over.notify_all();
}

TEST(HttpTest, CanBeCancelled) {
  std::atomic<bool> asked = false;
  std::atomic<bool> over = false;
  HttpServer server([&](const HttpServerRequest&, Reply&) {
    asked = true;
    over.wait(false);
  });
  HttpSession session({}, [&] { return asked.load(); });
  EXPECT_THAT(session.Do(Get(server, "/")),
              HasStatus(absl::StatusCode::kCancelled, "cancelled"));
  over = true;
  over.notify_all();
}

TEST(HttpTest, SendsABodyFromMemoryOrFromADescriptor) {
  HttpServer server([](const HttpServerRequest& request, Reply& reply) {
    reply.Answer(201, absl::StrCat(request.method, " ", request.body));
  });
  HttpSession session({}, nullptr);
  HttpRequest request = Get(server, "/");
  request.method = HttpMethod::kPost;
  request.body = "from memory";
  EXPECT_EQ(session.Do(request)->body, "POST from memory");
  request.method = HttpMethod::kPut;
  EXPECT_EQ(session.Do(request)->body, "PUT from memory");

  TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "f", "from file, not more"));
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenFile(dir / "f", O_RDONLY));
  request.body_fd = fd.get();
  request.body_size = 9;
  EXPECT_EQ(session.Do(request)->body, "PUT from file");
  request.body_size = 100;
  EXPECT_THAT(session.Do(request),
              HasStatus(absl::StatusCode::kDataLoss, "shorter"));
}

TEST(HttpTest, RefusesHeadersWithLineBreaksAndForeignUrls) {
  HttpSession session({}, nullptr);
  HttpRequest request;
  request.url = "http://127.0.0.1:1/";
  request.origin_headers = {{"Authorization", "x\r\nX-Injected: y"}};
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(session.Do(request), HasStatus(kInvalid, "control character"));
  request.origin_headers.clear();
  request.url = "file:///etc/passwd";
  EXPECT_THAT(session.Do(request), HasStatus(kInvalid, "scheme"));
}

TEST(HttpTest, MessagesHaveNoQuery) {
  HttpSession session({}, nullptr);
  HttpRequest request;
  request.url = "http://127.0.0.1:1/x?signature=secret";
  const auto response = session.Do(request);
  EXPECT_FALSE(absl::StrContains(response.status().message(), "secret"));
}

}  // namespace
}  // namespace serai::oci
