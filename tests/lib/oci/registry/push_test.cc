// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/oci/registry/client.h"
#include "tests/support/http_server.h"
#include "tests/support/registry.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::HttpServer;
using ::serai::testing::HttpServerRequest;
using ::serai::testing::LocalRegistry;
using ::serai::testing::TempDir;

class PushTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(Layout layout, Layout::Create(dir_ / "source"));
    source_ = layout;
    Manifest manifest;
    ASSERT_OK_AND_ASSIGN(manifest.config,
                         source_->WriteBlob(kMediaTypeConfig, "{}"));
    ASSERT_OK_AND_ASSIGN(
        const Descriptor layer,
        source_->WriteBlob(kMediaTypeLayer, std::string(3 << 20, 'L')));
    manifest.layers = {layer};
    ASSERT_OK_AND_ASSIGN(
        manifest_, source_->WriteBlob(kMediaTypeManifest, ToJson(manifest)));
    layer_ = layer;
  }

  absl::Status PushAs(const std::string& name, Credentials credentials = {}) {
    auto reference = Reference::Parse(name);
    EXPECT_OK(reference);
    return Push(*source_, manifest_, *reference, credentials, options_,
                nullptr);
  }

  std::unique_ptr<RegistryClient> Client(const std::string& name,
                                         Credentials credentials = {}) {
    auto reference = Reference::Parse(name);
    EXPECT_OK(reference);
    auto client =
        RegistryClient::Create(*reference, credentials, options_,
                               RegistryClient::Access::kPull, nullptr);
    EXPECT_OK(client);
    return *std::move(client);
  }

  TempDir dir_;
  RegistryOptions options_;
  std::optional<Layout> source_;
  Descriptor manifest_;
  Descriptor layer_;
};

TEST_F(PushTest, WhatIsPushedCanBePulled) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(const auto registry, LocalRegistry::Start());
  const std::string name = registry->host() + "/caravans/silk";
  ASSERT_OK(PushAs(name + ":1"));
  ASSERT_OK(PushAs(name + ":1"));  // all there already

  const auto client = Client(name + ":1");
  ASSERT_OK_AND_ASSIGN(const FetchedManifest by_tag,
                       client->GetManifest("1", {}));
  EXPECT_EQ(by_tag.digest, manifest_.digest);
  EXPECT_OK(client->GetManifest("", manifest_.digest));
  ASSERT_OK_AND_ASSIGN(const Layout target, Layout::Create(dir_ / "target"));
  ASSERT_OK_AND_ASSIGN(BlobWriter writer,
                       target.StartBlob(layer_.digest, layer_.size));
  ASSERT_OK(client->GetBlob(layer_, writer));
  EXPECT_TRUE(target.HasBlob(layer_.digest));
  EXPECT_THAT(client->GetManifest("2", {}),
              HasStatus(absl::StatusCode::kNotFound, "manifest unknown"));
}

TEST_F(PushTest, PushesUnderADigest) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(const auto registry, LocalRegistry::Start());
  const std::string name = registry->host() + "/a";
  ASSERT_OK(PushAs(name + "@" + manifest_.digest.ToString()));
  EXPECT_OK(Client(name)->GetManifest("", manifest_.digest));
  EXPECT_THAT(PushAs(name + "@" + layer_.digest.ToString()),
              HasStatus(absl::StatusCode::kInvalidArgument, "digest is"));
}

TEST_F(PushTest, ProtectedRegistryWantsCredentials) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(const auto registry,
                       LocalRegistry::Start(LocalRegistry::Auth::kBasic));
  const std::string name = registry->host() + "/a:1";
  constexpr auto kWho = absl::StatusCode::kUnauthenticated;
  EXPECT_THAT(PushAs(name), HasStatus(kWho, "credentials are needed"));
  Credentials credentials;
  credentials.username = LocalRegistry::kUsername;
  credentials.password = "wrong";
  EXPECT_THAT(PushAs(name, credentials), HasStatus(kWho, "not accepted"));
  credentials.password = LocalRegistry::kPassword;
  ASSERT_OK(PushAs(name, credentials));
  EXPECT_OK(Client(name, credentials)->GetManifest("1", {}));
  EXPECT_THAT(Client(name)->GetManifest("1", {}),
              HasStatus(kWho, "credentials are needed"));
}

// Tests of TLS: a certificate of its own authority for 127.0.0.1.
class TlsTest : public PushTest {
 protected:
  void SetUp() override {
    PushTest::SetUp();
    SubprocessSpec make;
    make.program = "/usr/bin/openssl";
    make.args = {"req",
                 "-x509",
                 "-newkey",
                 "rsa:2048",
                 "-nodes",
                 "-subj",
                 "/CN=serai-test",
                 "-addext",
                 "subjectAltName=IP:127.0.0.1",
                 "-keyout",
                 dir_ / "key.pem",
                 "-out",
                 dir_ / "ca.pem"};
    ASSERT_OK_AND_ASSIGN(const SubprocessResult made, RunSubprocess(make));
    ASSERT_EQ(made.exit_code, 0) << made.error_output;
    ASSERT_OK(WriteFileAtomic(
        dir_ / "both.pem", absl::StrCat(*ReadFile(dir_ / "ca.pem", 65536),
                                        *ReadFile(dir_ / "key.pem", 65536))));
  }

  // The registry's hosts.toml.
  void Configure(const LocalRegistry& registry, absl::string_view more) {
    const std::string config = dir_ / registry.host();
    ASSERT_OK(MakeDirs(config));
    options_.config_path = dir_.path();
    ASSERT_OK(WriteFileAtomic(
        JoinPath(config, "hosts.toml"),
        absl::StrCat("server = 'https://", registry.host(), "'\n", more)));
  }
};

TEST_F(TlsTest, RegistryMustBeTrusted) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(
      const auto registry,
      LocalRegistry::Start(LocalRegistry::Auth::kNone, dir_ / "both.pem"));
  const std::string name = registry->host() + "/a:1";
  Configure(*registry, "");
  EXPECT_THAT(PushAs(name),
              HasStatus(absl::StatusCode::kFailedPrecondition, "certificate"));
  Configure(*registry, "ca = '../ca.pem'");
  EXPECT_OK(PushAs(name));
  EXPECT_OK(Client(name)->GetManifest("1", {}));
  Configure(*registry, "skip_verify = true");
  EXPECT_OK(Client(name)->GetManifest("1", {}));
}

TEST_F(TlsTest, RegistryThatWantsACertificateGetsTheConfiguredOne) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(
      const auto registry,
      LocalRegistry::Start(LocalRegistry::Auth::kNone, dir_ / "both.pem",
                           dir_ / "ca.pem"));
  const std::string name = registry->host() + "/a:1";
  Configure(*registry, "ca = '../ca.pem'");
  EXPECT_FALSE(PushAs(name).ok());
  for (const char* client :
       {"client = [['../ca.pem', '../key.pem']]", "client = '../both.pem'",
        "client = ['../both.pem']"}) {
    Configure(*registry, absl::StrCat("ca = '../ca.pem'\n", client));
    SCOPED_TRACE(client);
    EXPECT_OK(PushAs(name));
    EXPECT_OK(Client(name)->GetManifest("1", {}));
  }
}

TEST_F(PushTest, RegistryThatRefusesUploadsIsAnError) {
  HttpServer server(
      [](const HttpServerRequest& request, HttpServer::Reply& reply) {
        if (request.method == "HEAD") return reply.Answer(404, "");
        reply.Answer(405, "");
      });
  EXPECT_THAT(PushAs(server.host() + "/a:1"),
              HasStatus(absl::StatusCode::kUnknown, "HTTP status 405"));
}

TEST_F(PushTest, UploadElsewhereIsDoneWithoutCredentials) {
  HttpServer storage([](const HttpServerRequest&, HttpServer::Reply& reply) {
    reply.Answer(201, "");
  });
  HttpServer server([&](const HttpServerRequest& request,
                        HttpServer::Reply& reply) {
    if (request.headers.count("authorization") == 0) {
      return reply.Answer(401, "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
    }
    if (request.method == "HEAD") return reply.Answer(404, "");
    if (request.method == "PUT") return reply.Answer(201, "");
    reply.Answer(
        202, "",
        absl::StrCat("Location: http://", storage.host(), "/up?state=1\r\n"));
  });
  Credentials credentials;
  credentials.username = "user";
  ASSERT_OK(PushAs(server.host() + "/a:1", credentials));
  ASSERT_EQ(storage.requests().size(), 2u);
  for (const HttpServerRequest& request : storage.requests()) {
    EXPECT_EQ(request.headers.count("authorization"), 0u);
    EXPECT_EQ(request.query.find("state=1&digest=sha256:"), 0u);
  }
}

}  // namespace
}  // namespace serai::oci
