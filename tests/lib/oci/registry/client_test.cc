// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/client.h"

#include "absl/strings/match.h"
#include "tests/lib/oci/registry/client_fixture.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;

std::string ManifestText() {
  Manifest manifest;
  manifest.config.media_type = kMediaTypeConfig;
  manifest.config.digest = DigestOf("{}");
  manifest.config.size = 2;
  return ToJson(manifest);
}

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

TEST_F(MirrorTest, AFailureIsToldOnce) {
  Answer(404, "");
  const absl::Status status = Get(absl::StrCat(
      "capabilities = ['pull']\n[host.'http://", server_.host(), "']\n"));
  EXPECT_THAT(status, HasStatus(absl::StatusCode::kNotFound, "404"));
  EXPECT_FALSE(absl::StrContains(status.message(), "; ")) << status;
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
