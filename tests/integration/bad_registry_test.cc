// SPDX-License-Identifier: Apache-2.0
// PullImage from registries good and bad.
#include <functional>
#include <optional>
#include <ostream>

#include "absl/strings/match.h"
#include "lib/oci/pack.h"
#include "lib/oci/registry/client.h"
#include "tests/integration/bad_input.h"
#include "tests/support/http_server.h"
#include "tests/support/registry.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Reply = HttpServer::Reply;
using Images = cri::ImageService::Stub;

// Stores an image of the guest "web" in `layout`.
absl::StatusOr<oci::Descriptor> PackWeb(const oci::Layout& layout) {
  return oci::Pack({JoinPath(BuildDir(), "guests/web.spt")}, oci::PackOptions(),
                   layout);
}

struct Fault {
  const char* name;
  const char* at;  // a part of the path at which it happens
  absl::StatusCode code;
  const char* message;
  // What is answered in place of `content`.
  std::function<void(const std::string& content, Reply&)> how;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

// A registry with one image, HOST/team/web:1, and a fault.
class BadRegistryTest : public BadInputTest,
                        public ::testing::WithParamInterface<Fault> {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(StartNode());
    layout_ = *oci::Layout::Create(made_ / "layout");
    ASSERT_OK_AND_ASSIGN(manifest_, PackWeb(*layout_));
    server_.emplace([this](const HttpServerRequest& request, Reply& reply) {
      Serve(request, reply);
    });
  }

  void Serve(const HttpServerRequest& request, Reply& reply) const {
    const std::string name = request.path.substr(request.path.rfind('/') + 1);
    const auto digest = name == "1"
                            ? absl::StatusOr<oci::Digest>(manifest_.digest)
                            : oci::Digest::Parse(name);
    if (!digest.ok() || !layout_->HasBlob(*digest)) {
      return reply.Answer(404, "");
    }
    const std::string content = *layout_->ReadBlob(*digest, 64 << 20);
    if (!mended_ && absl::StrContains(request.path, GetParam().at)) {
      return GetParam().how(content, reply);
    }
    reply.Answer(200, content);
  }

  const TempDir made_;
  std::optional<oci::Layout> layout_;
  oci::Descriptor manifest_;
  std::atomic<bool> mended_ = false;
  std::optional<HttpServer> server_;
};

TEST_P(BadRegistryTest, IsOneClearErrorAndLeavesNothing) {
  const std::string image = server_->host() + "/team/web:1";
  Mark();
  const auto pulled = PullImage(*node_, image);
  EXPECT_THAT(pulled, HasStatus(GetParam().code, GetParam().message));
  EXPECT_THAT(pulled, HasStatus(GetParam().code, "pulling " + image));
  // The word comes first, or kubelet doesn't see it.
  const bool unavailable = GetParam().code == absl::StatusCode::kUnknown;
  EXPECT_EQ(
      absl::StartsWith(pulled.status().message(), "RegistryUnavailable: "),
      unavailable)
      << pulled.status();
  ExpectNothingNew();

  mended_ = true;
  EXPECT_OK(PullImage(*node_, image));
}

void HalfWay(const std::string& content, Reply& reply) {
  reply.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", content.size(),
                          "\r\n\r\n", content.substr(0, content.size() / 2)));
}
void AtOnce(const std::string&, Reply&) {}
void OtherDigest(const std::string& content, Reply& reply) {
  reply.Answer(200, content,
               absl::StrCat("Docker-Content-Digest: sha256:",
                            std::string(64, 'a'), "\r\n"));
}
std::function<void(const std::string&, Reply&)> Status(int status) {
  return [=](const std::string&, Reply& reply) {
    reply.Answer(status,
                 R"({"errors":[{"code":"X","message":"out of camels"}]})");
  };
}
void OtherContent(const std::string& content, Reply& reply) {
  reply.Answer(200, std::string(content.size(), 'x'));
}

constexpr auto kUnavailable = absl::StatusCode::kUnknown;

INSTANTIATE_TEST_SUITE_P(
    All, BadRegistryTest,
    ::testing::Values(
        Fault{"ManifestNotFound", "/manifests/", absl::StatusCode::kNotFound,
              "HTTP status 404: out of camels", Status(404)},
        Fault{"BlobNotFound", "/blobs/", absl::StatusCode::kNotFound,
              "HTTP status 404: out of camels", Status(404)},
        Fault{"ManifestServerError", "/manifests/", kUnavailable,
              "HTTP status 500: out of camels", Status(500)},
        Fault{"BlobServerError", "/blobs/", kUnavailable,
              "HTTP status 500: out of camels", Status(500)},
        Fault{"ManifestOfAnotherDigest", "/manifests/",
              absl::StatusCode::kDataLoss, "digest", OtherDigest},
        Fault{"BlobOfAnotherDigest", "/blobs/", absl::StatusCode::kDataLoss,
              "digest", OtherContent},
        Fault{"ManifestHalfWay", "/manifests/", kUnavailable, "", HalfWay},
        Fault{"BlobHalfWay", "/blobs/", kUnavailable, "", HalfWay},
        Fault{"NoAnswerAtAll", "/v2/", kUnavailable, "", AtOnce}),
    [](const auto& test) { return std::string(test.param.name); });

class PullImageTest : public BadInputTest {};

TEST_F(PullImageTest, NobodyListensIsRegistryUnavailable) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  Mark();
  EXPECT_THAT(PullImage(*node_, "127.0.0.1:1/team/web:1"),
              HasStatus(kUnavailable, "RegistryUnavailable: "));
  EXPECT_THAT(PullImage(*node_, "127.0.0.1:1/team/WEB"),
              HasStatus(absl::StatusCode::kInvalidArgument, "WEB"));
  EXPECT_THAT(PullImage(*node_, ""),
              HasStatus(absl::StatusCode::kInvalidArgument, ""));
  ExpectNothingNew();
}

TEST_F(PullImageTest, AnImageGoesFromAPushToARunningPodAndIsRemoved) {
  SERAI_NEED_REGISTRY();
  ASSERT_NO_FATAL_FAILURE(StartNode());
  ASSERT_OK_AND_ASSIGN(const auto registry, LocalRegistry::Start());
  const TempDir made;
  ASSERT_OK_AND_ASSIGN(const auto layout, oci::Layout::Create(made / "layout"));
  ASSERT_OK_AND_ASSIGN(const oci::Descriptor manifest, PackWeb(layout));
  const std::string name = registry->host() + "/team/web";
  ASSERT_OK_AND_ASSIGN(const auto reference,
                       oci::Reference::Parse(name + ":1"));
  ASSERT_OK(oci::Push(layout, manifest, reference, {}, {}, nullptr));
  Mark();

  ASSERT_OK_AND_ASSIGN(const std::string id, PullImage(*node_, name + ":1"));
  ASSERT_OK_AND_ASSIGN(
      const std::string by_digest,
      PullImage(*node_, name + "@" + manifest.digest.ToString()));
  EXPECT_EQ(id, by_digest);
  EXPECT_THAT(PullImage(*node_, name + ":2"),
              HasStatus(absl::StatusCode::kNotFound, "manifest unknown"));

  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", id));
  ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(web.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  EXPECT_EQ(status.image_id(), id);
  EXPECT_EQ(status.image_ref(), name + "@" + manifest.digest.ToString());
  EXPECT_OK(node_->RemovePod(web.pod));

  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(id);
  EXPECT_OK(CallCri(node_->images(), &Images::RemoveImage, remove));
  ExpectNothingNew();
}

TEST_F(PullImageTest, WhatIsNotHereHasNoStatusAndIsRemovedWithSuccess) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  Mark();
  ASSERT_OK_AND_ASSIGN(const std::string id,
                       node_->LoadGuests("web", {"web.spt"}));
  for (const std::string& name : {id, std::string("localhost/web:latest")}) {
    cri::ImageStatusRequest status;
    status.mutable_image()->set_image(name);
    ASSERT_OK_AND_ASSIGN(
        const auto found,
        CallCri(node_->images(), &Images::ImageStatus, status));
    EXPECT_EQ(found.image().id(), id);
  }
  for (int i = 0; i < 2; ++i) {
    cri::RemoveImageRequest remove;
    remove.mutable_image()->set_image("localhost/web:latest");
    EXPECT_OK(CallCri(node_->images(), &Images::RemoveImage, remove));
  }
  for (const std::string& name : {id, std::string("localhost/web:latest"),
                                  std::string("localhost/never:1")}) {
    cri::ImageStatusRequest status;
    status.mutable_image()->set_image(name);
    ASSERT_OK_AND_ASSIGN(
        const auto missing,
        CallCri(node_->images(), &Images::ImageStatus, status));
    EXPECT_FALSE(missing.has_image());
  }
  ASSERT_OK_AND_ASSIGN(
      const auto all,
      CallCri(node_->images(), &Images::ListImages, cri::ListImagesRequest()));
  EXPECT_THAT(all.images(), IsEmpty());
  ExpectNothingNew();
}

}  // namespace
}  // namespace serai::testing
