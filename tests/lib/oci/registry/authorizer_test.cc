// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/authorizer.h"

#include "gtest/gtest.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::HttpServer;
using ::serai::testing::HttpServerRequest;

constexpr char kScope[] = "repository:a/b:pull";

HttpResponse Challenge(const std::string& value) {
  HttpResponse response;
  response.status = 401;
  response.headers = {{"www-authenticate", value}};
  return response;
}

Credentials UserAndPassword() {
  Credentials credentials;
  credentials.username = "user";
  credentials.password = "pass";
  return credentials;
}

TEST(CredentialsTest, AuthIsUnpacked) {
  Credentials credentials;
  credentials.auth = "dXNlcjpwYTpzcwAA";  // user:pa:ss and two zero bytes
  ASSERT_OK_AND_ASSIGN(const Credentials normal,
                       NormalizeCredentials(credentials));
  EXPECT_EQ(normal.username, "user");
  EXPECT_EQ(normal.password, "pa:ss");
}

TEST(CredentialsTest, BadAuthIsRefusedWithoutBeingQuoted) {
  for (const char* auth : {"???", "bm9jb2xvbg=="}) {
    Credentials credentials;
    credentials.auth = auth;
    const auto normal = NormalizeCredentials(credentials);
    EXPECT_THAT(normal,
                HasStatus(absl::StatusCode::kInvalidArgument, "base64"));
    EXPECT_EQ(normal.status().message().find(auth), absl::string_view::npos);
  }
}

TEST(CredentialsTest, TokenUserMeansIdentityToken) {
  Credentials credentials;
  credentials.username = "<token>";
  credentials.password = "t";
  ASSERT_OK_AND_ASSIGN(const Credentials normal,
                       NormalizeCredentials(credentials));
  EXPECT_EQ(normal.identity_token, "t");
  EXPECT_EQ(normal.username, "");
}

TEST(CredentialsTest, AreForTheRegistryOfTheReferenceOrTheNamedServer) {
  const RegistryHost own = DefaultHost("r.example:5000");
  const RegistryHost mirror = DefaultHost("m.example");
  const RegistryHost hub = DefaultHost("docker.io");
  Credentials credentials = UserAndPassword();
  const auto sees = [&](const RegistryHost& host, const char* registry) {
    return !CredentialsFor(credentials, host, registry).username.empty();
  };
  EXPECT_TRUE(sees(own, "r.example:5000"));
  EXPECT_FALSE(sees(mirror, "r.example:5000"));
  EXPECT_TRUE(sees(hub, "docker.io"));
  credentials.server_address = "https://index.docker.io/v1/";
  EXPECT_TRUE(sees(hub, "docker.io"));
  EXPECT_FALSE(sees(own, "r.example:5000"));
  credentials.server_address = "m.example/team";
  EXPECT_TRUE(sees(mirror, "r.example:5000"));
  EXPECT_FALSE(sees(own, "r.example:5000"));
}

class AuthorizerTest : public ::testing::Test {
 protected:
  AuthorizerTest()
      : server_([this](const HttpServerRequest&, HttpServer::Reply& reply) {
          reply.Answer(status_, body_);
        }) {}

  Authorizer For(Credentials credentials, RegistryHost host) {
    return Authorizer(&session_, std::move(host), std::move(credentials),
                      kScope);
  }
  Authorizer For(Credentials credentials) {
    return For(std::move(credentials), DefaultHost(server_.host()));
  }
  std::string Bearer() {
    return absl::StrCat("Bearer realm=\"http://", server_.host(),
                        "/token?x=y\",service=\"the reg\",scope=\"other\"");
  }

  int status_ = 200;
  std::string body_ = R"({"token":"abc"})";
  HttpServer server_;
  HttpSession session_{{}, nullptr};
};

TEST_F(AuthorizerTest, BasicOnlyWhenAskedAndOnce) {
  Authorizer authorizer = For(UserAndPassword());
  EXPECT_EQ(authorizer.authorization(), "");
  ASSERT_OK(authorizer.Answer(Challenge("Basic realm=\"x\"")));
  EXPECT_EQ(authorizer.authorization(), "Basic dXNlcjpwYXNz");
  EXPECT_THAT(authorizer.Answer(Challenge("Basic realm=\"x\"")),
              HasStatus(absl::StatusCode::kUnauthenticated, "not accepted"));
}

TEST_F(AuthorizerTest, SaysWhenThereIsNothingToOffer) {
  constexpr auto kWho = absl::StatusCode::kUnauthenticated;
  EXPECT_THAT(For({}).Answer(Challenge("Basic realm=\"x\"")),
              HasStatus(kWho, "credentials are needed"));
  EXPECT_THAT(For(UserAndPassword()).Answer(Challenge("Digest a=b")),
              HasStatus(kWho, "not supported"));
  EXPECT_THAT(For({}).Answer(HttpResponse()), HasStatus(kWho, "not supported"));
  EXPECT_THAT(For({}).Answer(Challenge("Bearer realm=\"")),
              HasStatus(absl::StatusCode::kInvalidArgument, "malformed"));
}

TEST_F(AuthorizerTest, GivenTokenIsUsedAsItIs) {
  Credentials credentials;
  credentials.registry_token = "given";
  Authorizer authorizer = For(credentials);
  ASSERT_OK(authorizer.Answer(Challenge(Bearer())));
  EXPECT_EQ(authorizer.authorization(), "Bearer given");
  EXPECT_THAT(authorizer.Answer(Challenge(Bearer())),
              HasStatus(absl::StatusCode::kUnauthenticated, "not accepted"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(AuthorizerTest, FetchesAnAnonymousToken) {
  Authorizer authorizer = For({});
  ASSERT_OK(authorizer.Answer(Challenge(Bearer())));
  EXPECT_EQ(authorizer.authorization(), "Bearer abc");
  const HttpServerRequest request = server_.requests().at(0);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.query,
            "x=y&service=the%20reg&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(request.headers.count("authorization"), 0u);
}

TEST_F(AuthorizerTest, FetchesATokenForAUserAndAgainForTheScopeAsked) {
  Authorizer authorizer = For(UserAndPassword());
  ASSERT_OK(authorizer.Answer(Challenge(Bearer())));
  ASSERT_OK(authorizer.Answer(Challenge(Bearer())));
  const auto requests = server_.requests();
  EXPECT_EQ(requests.at(0).headers.at("authorization"), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(requests.at(1).query,
            "x=y&service=the%20reg&scope=other&account=user");
}

TEST_F(AuthorizerTest, ExchangesAnIdentityToken) {
  body_ = R"({"access_token":"def"})";
  Credentials credentials;
  credentials.identity_token = "i/t";
  Authorizer authorizer = For(credentials);
  ASSERT_OK(authorizer.Answer(Challenge(Bearer())));
  EXPECT_EQ(authorizer.authorization(), "Bearer def");
  const HttpServerRequest request = server_.requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.body,
            "service=the%20reg&scope=repository%3Aa%2Fb%3Apull&grant_type="
            "refresh_token&client_id=serai&refresh_token=i%2Ft");
}

TEST_F(AuthorizerTest, CredentialsOfAnHttpsRegistryAreNotSentInTheClear) {
  Authorizer authorizer =
      For(UserAndPassword(), DefaultHost("registry.example"));
  EXPECT_THAT(authorizer.Answer(Challenge(Bearer())),
              HasStatus(absl::StatusCode::kPermissionDenied, "plain http"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(AuthorizerTest, BadTokenAnswersAreErrors) {
  const auto answer = [&](int status, std::string body) {
    status_ = status;
    body_ = std::move(body);
    return For({}).Answer(Challenge(Bearer()));
  };
  constexpr auto kWho = absl::StatusCode::kUnauthenticated;
  EXPECT_THAT(answer(401, ""), HasStatus(kWho, "/token: refused"));
  EXPECT_THAT(answer(500, ""),
              HasStatus(absl::StatusCode::kUnavailable, "HTTP status 500"));
  EXPECT_THAT(answer(200, "[[["), HasStatus(kWho, "no token"));
  EXPECT_THAT(answer(200, std::string(60000, '[')),
              HasStatus(kWho, "no token"));
  EXPECT_THAT(answer(200, R"({"token":7})"), HasStatus(kWho, "no token"));
  EXPECT_THAT(answer(200, R"({"token":""})"), HasStatus(kWho, "no token"));
  EXPECT_THAT(answer(200, R"({"token":"a\r\nX: y"})"),
              HasStatus(kWho, "no token"));
  EXPECT_THAT(answer(200, std::string(70000, ' ')),
              HasStatus(absl::StatusCode::kResourceExhausted, "65536"));
}

TEST_F(AuthorizerTest, RefusesARealmThatIsNoHttpUrl) {
  EXPECT_THAT(For({}).Answer(Challenge("Bearer realm=\"file:///etc/passwd\"")),
              HasStatus(absl::StatusCode::kInvalidArgument, "scheme"));
  EXPECT_THAT(For({}).Answer(Challenge("Bearer service=x")),
              HasStatus(absl::StatusCode::kInvalidArgument, "not a URL"));
}

}  // namespace
}  // namespace serai::oci
