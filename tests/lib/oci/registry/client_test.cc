// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/client.h"

#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
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
using ::testing::ElementsAre;

using Reply = HttpServer::Reply;

constexpr char kContent[] = "the content of a blob";

std::string ManifestText() {
  Manifest manifest;
  manifest.config.media_type = kMediaTypeConfig;
  manifest.config.digest = DigestOf("{}");
  manifest.config.size = 2;
  return ToJson(manifest);
}

// A registry that answers as each test says.
class ClientTest : public ::testing::Test {
 protected:
  ClientTest()
      : server_([this](const HttpServerRequest& request, Reply& reply) {
          answer_(request, reply);
        }) {
    options_.first_wait = absl::Milliseconds(1);
  }

  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(Layout layout, Layout::Create(dir_ / "layout"));
    layout_ = layout;
  }

  // Of image "a/b:1" there.
  std::unique_ptr<RegistryClient> Client(Credentials credentials = {}) {
    auto reference = Reference::Parse(absl::StrCat(server_.host(), "/a/b:1"));
    EXPECT_OK(reference);
    auto client =
        RegistryClient::Create(*reference, credentials, options_,
                               RegistryClient::Access::kPull, nullptr);
    EXPECT_OK(client);
    return *std::move(client);
  }

  absl::Status GetManifest(const Digest& digest = {}) {
    return Client()->GetManifest("1", digest).status();
  }

  absl::Status GetBlob(Credentials credentials = {}) {
    Descriptor blob;
    blob.digest = DigestOf(kContent);
    blob.size = sizeof kContent - 1;
    auto writer = layout_->StartBlob(blob.digest, blob.size);
    EXPECT_OK(writer);
    return Client(std::move(credentials))->GetBlob(blob, *writer);
  }

  void Answer(int status, std::string body, std::string headers = "") {
    answer_ = [=](const HttpServerRequest&, Reply& reply) {
      reply.Answer(status, body, headers);
    };
  }

  void TearDown() override {
    // Whatever happened, no half blob remains.
    ASSERT_OK_AND_ASSIGN(const auto files,
                         ListDir(layout_->directory() + "/blobs/sha256"));
    for (const std::string& name : files) EXPECT_EQ(name.size(), 64u) << name;
  }

  TempDir dir_;
  std::optional<Layout> layout_;
  RegistryOptions options_;
  std::atomic<bool> done_ = false;  // ends handlers that stall
  std::function<void(const HttpServerRequest&, Reply&)> answer_;
  HttpServer server_;
};

TEST_F(ClientTest, ManifestComesWithItsDigestAndType) {
  Answer(200, ManifestText());
  ASSERT_OK_AND_ASSIGN(const FetchedManifest manifest,
                       Client()->GetManifest("1", {}));
  EXPECT_EQ(manifest.media_type, kMediaTypeManifest);
  EXPECT_EQ(manifest.digest, DigestOf(ManifestText()));
  const HttpServerRequest request = server_.requests().at(0);
  EXPECT_EQ(request.path, "/v2/a/b/manifests/1");
  EXPECT_TRUE(
      absl::StrContains(request.headers.at("accept"), kMediaTypeDockerIndex));
}

TEST_F(ClientTest, BlobIsStreamedAndCommitted) {
  Answer(200, kContent);
  ASSERT_OK(GetBlob());
  EXPECT_EQ(*layout_->ReadBlob(DigestOf(kContent)), kContent);
}

TEST_F(ClientTest, MissingTagIsNotFoundInTheRegistrysWords) {
  Answer(404, "{\"errors\":[{\"code\":\"X\",\"message\":\"no\\u0007such\"}]}");
  EXPECT_THAT(GetManifest(),
              HasStatus(absl::StatusCode::kNotFound,
                        absl::StrCat(server_.host(), "/v2/a/b/manifests/1: ",
                                     "HTTP status 404: no?such")));
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(ClientTest, StrangeErrorBodiesAreLeftOut) {
  for (const char* body :
       {"", "x", "[]", "{\"errors\":[]}", "{\"errors\":7}", "{\"errors\":[7]}",
        "{\"errors\":[{}]}", "{\"errors\":[{\"message\":7}]}"}) {
    Answer(403, body);
    const absl::Status status = GetManifest();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_TRUE(absl::EndsWith(status.message(), "403")) << status;
  }
}

TEST_F(ClientTest, ServerErrorIsUnavailableAfterAsManyTriesAsAllowed) {
  options_.attempts = 3;
  Answer(500, "");
  EXPECT_THAT(GetManifest(), HasStatus(absl::StatusCode::kUnavailable,
                                       "/v2/a/b/manifests/1: HTTP status 500"));
  EXPECT_EQ(server_.requests().size(), 3u);
  Answer(429, "");
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kUnavailable, "429"));
}

TEST_F(ClientTest, OneFailureIsGotOver) {
  answer_ = [this](const HttpServerRequest&, Reply& reply) {
    if (server_.requests().size() == 1) {
      reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
    } else {
      reply.Answer(200, kContent);
    }
  };
  EXPECT_OK(GetBlob());
}

TEST_F(ClientTest, RefusedConnectionIsUnavailable) {
  ASSERT_OK_AND_ASSIGN(const Reference reference,
                       Reference::Parse("127.0.0.1:1/a:1"));
  ASSERT_OK_AND_ASSIGN(
      const auto client,
      RegistryClient::Create(reference, {}, options_,
                             RegistryClient::Access::kPull, nullptr));
  EXPECT_THAT(client->GetManifest("1", {}),
              HasStatus(absl::StatusCode::kUnavailable,
                        "127.0.0.1:1/v2/a/manifests/1: "));
}

TEST_F(ClientTest, WrongContentIsDataLoss) {
  constexpr auto kLoss = absl::StatusCode::kDataLoss;
  Answer(200, "THE CONTENT OF A BLOB");
  EXPECT_THAT(GetBlob(), HasStatus(kLoss, "digest is"));
  Answer(200, ManifestText());
  EXPECT_THAT(GetManifest(DigestOf("other")), HasStatus(kLoss, "digest is"));
  Answer(200, ManifestText(),
         absl::StrCat("Docker-Content-Digest: ", DigestOf("other").ToString(),
                      "\r\n"));
  EXPECT_THAT(GetManifest(), HasStatus(kLoss, "digest is"));
}

TEST_F(ClientTest, BlobThatClosesHalfWayIsUnavailable) {
  answer_ = [](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nthe con");
  };
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kUnavailable, "/blobs/"));
  answer_ = [](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\n\r\nthe con");
  };
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kUnavailable,
                                   "ended after 7 of 21 bytes"));
}

TEST_F(ClientTest, EndlessBlobIsCutAtItsSize) {
  answer_ = [](const HttpServerRequest&, Reply& reply) {
    reply.Send("HTTP/1.1 200 OK\r\n\r\n");
    while (reply.Send(std::string(65536, 'x'))) {
    }
  };
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kDataLoss,
                                   "longer than the 21 bytes"));
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(ClientTest, HostileManifestsAreRefused) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  Answer(200, "{\"mediaType\":");
  EXPECT_THAT(GetManifest(), HasStatus(kInvalid, "/manifests/1: "));
  Answer(200, absl::StrCat("{\"layers\":", std::string(1 << 20, '[')));
  EXPECT_THAT(GetManifest(), HasStatus(kInvalid, "/manifests/1: "));
  Answer(200, "{\"mediaType\":\"text/html\"}");
  EXPECT_THAT(GetManifest(), HasStatus(kInvalid, "/manifests/1: "));
  Answer(200, std::string((4 << 20) + 1, ' '));
  EXPECT_THAT(GetManifest(),
              HasStatus(absl::StatusCode::kResourceExhausted, "4194304"));
}

TEST_F(ClientTest, RedirectLoopEnds) {
  Answer(307, "", "Location: /v2/a/b/again\r\n");
  EXPECT_THAT(GetBlob(), HasStatus(absl::StatusCode::kFailedPrecondition,
                                   "more than 5 redirects"));
}

Credentials UserAndPassword() {
  Credentials credentials;
  credentials.username = "user";
  credentials.password = "pass-word";
  return credentials;
}

TEST_F(ClientTest, BlobElsewhereIsFetchedWithoutCredentials) {
  HttpServer storage([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(200, kContent);
  });
  answer_ = [&](const HttpServerRequest& request, Reply& reply) {
    if (request.headers.count("authorization") == 0) {
      return reply.Answer(401, "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
    }
    reply.Answer(307, "",
                 absl::StrCat("Location: http://", storage.host(), "/x\r\n"));
  };
  ASSERT_OK(GetBlob(UserAndPassword()));
  ASSERT_EQ(storage.requests().size(), 1u);
  EXPECT_EQ(storage.requests()[0].headers.count("authorization"), 0u);
}

TEST_F(ClientTest, StorageElsewhereCannotAskForCredentials) {
  HttpServer storage([](const HttpServerRequest&, Reply& reply) {
    reply.Answer(401, "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
  });
  Answer(307, "", absl::StrCat("Location: http://", storage.host(), "/x\r\n"));
  EXPECT_THAT(GetBlob(UserAndPassword()),
              HasStatus(absl::StatusCode::kUnauthenticated, storage.host()));
  for (const HttpServer* server : {&server_, &storage}) {
    ASSERT_EQ(server->requests().size(), 1u);
    EXPECT_EQ(server->requests()[0].headers.count("authorization"), 0u);
  }
}

TEST_F(ClientTest, TokenFlowIsDoneOnceForSeveralRequests) {
  answer_ = [this](const HttpServerRequest& request, Reply& reply) {
    if (request.path == "/token") {
      return reply.Answer(200, "{\"token\":\"abc\"}");
    }
    const auto given = request.headers.find("authorization");
    if (given == request.headers.end() || given->second != "Bearer abc") {
      return reply.Answer(
          401, "",
          absl::StrCat("WWW-Authenticate: Bearer realm=\"http://",
                       server_.host(), "/token\",service=\"s\"\r\n"));
    }
    reply.Answer(200, ManifestText());
  };
  const auto client = Client(UserAndPassword());
  ASSERT_OK(client->GetManifest("1", {}));
  ASSERT_OK(client->GetManifest("1", {}));
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[1].path, "/token");
  EXPECT_EQ(requests[1].query,
            "service=s&scope=repository%3Aa%2Fb%3Apull&account=user");
  EXPECT_EQ(requests[3].path, "/v2/a/b/manifests/1");
}

TEST_F(ClientTest, RefusedCredentialsAreAnErrorWithoutThem) {
  Answer(401, "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
  const absl::Status status = GetBlob(UserAndPassword());
  EXPECT_THAT(status,
              HasStatus(absl::StatusCode::kUnauthenticated, "not accepted"));
  EXPECT_FALSE(absl::StrContains(status.message(), "pass-word"));
  EXPECT_EQ(server_.requests().size(), 2u);
}

TEST_F(ClientTest, RegistryThatNeverTakesItsTokenIsGivenUp) {
  answer_ = [this](const HttpServerRequest& request, Reply& reply) {
    if (request.path == "/token") {
      return reply.Answer(200, "{\"token\":\"abc\"}");
    }
    reply.Answer(401, "",
                 absl::StrCat("WWW-Authenticate: Bearer realm=\"http://",
                              server_.host(), "/token\"\r\n"));
  };
  EXPECT_THAT(GetManifest(),
              HasStatus(absl::StatusCode::kUnauthenticated, "401"));
  EXPECT_EQ(server_.requests().size(), 5u);
}

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

// hosts.toml: the server under test stands in for registry.example.
class MirrorTest : public ClientTest {
 protected:
  absl::Status Get(absl::string_view hosts_toml) {
    const std::string directory = dir_ / "registry.example";
    EXPECT_OK(MakeDirs(directory));
    EXPECT_OK(WriteFileAtomic(JoinPath(directory, "hosts.toml"), hosts_toml));
    options_.config_path = dir_.path();
    options_.attempts = 1;
    auto reference = Reference::Parse("registry.example/a/b:1");
    auto client =
        RegistryClient::Create(*reference, UserAndPassword(), options_,
                               RegistryClient::Access::kPull, nullptr);
    EXPECT_OK(client);
    return (*client)->GetManifest("1", {}).status();
  }
};

TEST_F(MirrorTest, IsToldTheRegistryButNotTheCredentials) {
  Answer(401, "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
  EXPECT_THAT(Get(absl::StrCat("server = 'http://", server_.host(), "'")),
              HasStatus(absl::StatusCode::kUnauthenticated, "none are given"));
  const HttpServerRequest request = server_.requests().at(0);
  EXPECT_EQ(request.path, "/v2/a/b/manifests/1");
  EXPECT_EQ(request.query, "ns=registry.example");
}

TEST_F(MirrorTest, NextHostIsTriedAndTheLastOnesCodeCounts) {
  Answer(200, ManifestText());
  const std::string own = absl::StrCat("server = 'http://", server_.host(),
                                       "'\n[host.'http://127.0.0.1:1']\n");
  EXPECT_OK(Get(own));
  Answer(404, "");
  EXPECT_THAT(Get(own), HasStatus(absl::StatusCode::kNotFound,
                                  "127.0.0.1:1/v2/a/b/manifests/1: "));
}

TEST_F(MirrorTest, HostWithoutTheCapabilityIsNotAsked) {
  EXPECT_THAT(Get(absl::StrCat("server = 'http://", server_.host(),
                               "'\ncapabilities = ['pull']")),
              HasStatus(absl::StatusCode::kFailedPrecondition, "capability"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(MirrorTest, GetsItsHeadersAndItsOwnPath) {
  Answer(200, ManifestText());
  EXPECT_OK(Get(absl::StrCat("[host.'http://", server_.host(),
                             "/proxy/hub']\noverride_path = true\n"
                             "capabilities = ['pull', 'resolve']\n"
                             "header = { x-team = 'blue', x-many = ['a', 'b'] }"
                             "\n")));
  const HttpServerRequest request = server_.requests().at(0);
  EXPECT_EQ(request.path, "/proxy/hub/a/b/manifests/1");
  EXPECT_EQ(request.headers.at("x-team"), "blue");
  EXPECT_EQ(request.headers.count("x-many"), 1u);
}

}  // namespace
}  // namespace serai::oci
