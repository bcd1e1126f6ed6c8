// SPDX-License-Identifier: Apache-2.0
// The image service of a real seraid, with registries real and scripted.
#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "cri/image/disk_usage.h"
#include "lib/oci/pack.h"
#include "lib/oci/registry/client.h"
#include "tests/integration/bad_input.h"
#include "tests/support/http_server.h"
#include "tests/support/registry.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Images = cri::ImageService::Stub;
using Reply = HttpServer::Reply;

class ImagesTest : public BadInputTest {
 protected:
  absl::StatusOr<cri::ImageStatusResponse> StatusOfImage(
      const std::string& name) {
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(name);
    return CallCri(node_->images(), &Images::ImageStatus, request);
  }
  absl::Status RemoveImage(const std::string& name) {
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(name);
    return CallCri(node_->images(), &Images::RemoveImage, request).status();
  }
  cri::ListImagesResponse List() {
    return *CallCri(node_->images(), &Images::ListImages,
                    cri::ListImagesRequest());
  }
  bool IsUnpacked(const std::string& id) {
    return PathExists(
        JoinPath(JoinPath(node_->root(), "unpacked"), id.substr(7)));
  }
  static bool Serves(const std::string& ip) {
    const auto page = HttpGetRetried(ip, 80, "/");
    return page.ok() && absl::StrContains(*page, "200 OK");
  }
};

TEST_F(ImagesTest, WhatAContainerUsesStaysThroughRemovalAndARestart) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  Mark();
  ASSERT_OK_AND_ASSIGN(const std::string id,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", id));
  ASSERT_OK(RemoveImage("localhost/web:latest"));
  EXPECT_THAT(List().images(), IsEmpty());
  EXPECT_FALSE(StatusOfImage(id)->has_image());
  EXPECT_TRUE(IsUnpacked(id));

  node_->Stop(SIGKILL);
  node_->Start();
  EXPECT_TRUE(IsUnpacked(id));
  EXPECT_THAT(List().images(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  EXPECT_EQ(status.image_id(), id);
  EXPECT_TRUE(Serves(web.ip));

  // It comes again under the same id, and can go again.
  ASSERT_OK_AND_ASSIGN(const std::string again,
                       node_->LoadGuests("web", {"web.spt"}));
  EXPECT_EQ(again, id);
  EXPECT_THAT(List().images(), SizeIs(1));
  ASSERT_OK(RemoveImage(id));
  ASSERT_OK(node_->RemovePod(web.pod));
  EXPECT_FALSE(IsUnpacked(id));
  ExpectNothingNew();
}

TEST_F(ImagesTest, PinnedImagesSaySo) {
  NodeOptions options;
  options.more_config = "[image]\npinned = [\"localhost/web\"]\n";
  ASSERT_NO_FATAL_FAILURE(StartNode(options));
  ASSERT_OK(node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK(node_->LoadGuests("other", {"hello.spt"}));
  std::map<std::string, bool> pinned;
  const cri::ListImagesResponse list = List();
  for (const cri::Image& image : list.images()) {
    pinned[image.repo_tags(0)] = image.pinned();
    EXPECT_EQ(StatusOfImage(image.id())->image().pinned(), image.pinned());
  }
  EXPECT_TRUE(pinned.at("localhost/web:latest"));
  EXPECT_FALSE(pinned.at("localhost/other:latest"));
  EXPECT_OK(RemoveImage("localhost/web:latest"));
  EXPECT_THAT(List().images(), SizeIs(1));
}

TEST_F(ImagesTest, ImageFsInfoIsWhatIsOnTheDisk) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  ASSERT_OK_AND_ASSIGN(const std::string id,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK(node_->Run("web", id));
  ASSERT_OK_AND_ASSIGN(const auto info,
                       CallCri(node_->images(), &Images::ImageFsInfo,
                               cri::ImageFsInfoRequest()));
  serai::cri::DiskUsage images;
  for (const char* name : {"images", "unpacked", "lock", "reserve"}) {
    const std::string path = JoinPath(node_->root(), name);
    images += serai::cri::UsageOf(path);
    images += serai::cri::UsageBelow(path).value_or(serai::cri::DiskUsage());
  }
  ASSERT_EQ(info.image_filesystems_size(), 1);
  ASSERT_EQ(info.container_filesystems_size(), 1);
  const auto& image_fs = info.image_filesystems(0);
  const auto& container_fs = info.container_filesystems(0);
  EXPECT_EQ(image_fs.used_bytes().value(), images.bytes);
  EXPECT_EQ(image_fs.inodes_used().value(), images.inodes);
  EXPECT_GT(container_fs.used_bytes().value(), 0u);
  EXPECT_LT(container_fs.used_bytes().value(), image_fs.used_bytes().value());
  for (const auto& fs : {image_fs, container_fs}) {
    EXPECT_EQ(fs.fs_id().mountpoint(), node_->root());
    EXPECT_GT(fs.timestamp(), absl::ToUnixNanos(absl::Now()) - 60'000'000'000);
  }
}

// A registry with one image, HOST/team/web:1, that can misbehave at its blobs.
class RegistryImagesTest : public ImagesTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(ImagesTest::SetUp());
    if (IsSkipped()) return;
    layout_ = *oci::Layout::Create(made_ / "layout");
    ASSERT_OK_AND_ASSIGN(manifest_,
                         oci::Pack({JoinPath(BuildDir(), "guests/web.spt")},
                                   oci::PackOptions(), *layout_));
    server_.emplace([this](const HttpServerRequest& request, Reply& reply) {
      const std::string name = request.path.substr(request.path.rfind('/') + 1);
      const auto digest = name == "1"
                              ? absl::StatusOr<oci::Digest>(manifest_.digest)
                              : oci::Digest::Parse(name);
      if (!digest.ok() || !layout_->HasBlob(*digest)) {
        return reply.Answer(404, "");
      }
      const std::string content = *layout_->ReadBlob(*digest, 64 << 20);
      if (at_blob_ && content.size() > 10'000) return at_blob_(content, reply);
      reply.Answer(200, content);
    });
  }
  void TearDown() override {
    ended_ = true;
    server_.reset();
    ImagesTest::TearDown();
  }
  std::string Name() const { return server_->host() + "/team/web:1"; }

  // A blob that comes in so many pieces, one each 100 ms.
  void Slowly(int pieces) {
    at_blob_ = [=, this](const std::string& content, Reply& reply) {
      reply.Send(absl::StrCat(
          "HTTP/1.1 200 OK\r\nContent-Length: ", content.size(), "\r\n\r\n"));
      const size_t step = content.size() / static_cast<size_t>(pieces) + 1;
      for (size_t i = 0; i < content.size() && !ended_; i += step) {
        if (!reply.Send(content.substr(i, step))) return;
        absl::SleepFor(absl::Milliseconds(100));
      }
    };
  }

  const TempDir made_;
  std::optional<oci::Layout> layout_;
  oci::Descriptor manifest_;
  std::function<void(const std::string&, Reply&)> at_blob_;
  std::atomic<bool> ended_ = false;
  std::optional<HttpServer> server_;
};

TEST_F(RegistryImagesTest, ProgressIsToldAndLogged) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  Slowly(65);
  control::v1::PullImageRequest request;
  request.set_reference(Name());
  Call call;
  const auto reader = node_->control().PullImage(call.get(), request);
  control::v1::PullProgress progress;
  int64_t received = 0;
  int steps = 0;
  while (reader->Read(&progress)) {
    if (progress.stage() != control::v1::PullProgress::DOWNLOADING) continue;
    ASSERT_EQ(progress.layers_size(), 1);
    EXPECT_GE(progress.layers(0).received(), received);
    if (progress.layers(0).received() > received) ++steps;
    received = progress.layers(0).received();
  }
  EXPECT_OK(FromGrpc(reader->Finish()));
  EXPECT_EQ(progress.stage(), control::v1::PullProgress::DONE);
  EXPECT_EQ(StatusOfImage(Name())->image().id(), progress.image_id());
  EXPECT_GT(steps, 5);
  const std::string log = node_->DaemonLog();
  EXPECT_THAT(log, HasSubstr("pulling " + Name() + ": 0 of 1 layers, "));
  EXPECT_THAT(log, HasSubstr("pulled " + Name() + ": " + progress.image_id()));
}

TEST_F(RegistryImagesTest, AClientThatHangsUpEndsItsPullAndLeavesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  Mark();
  Slowly(1000);
  cri::PullImageRequest request;
  request.mutable_image()->set_image(Name());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(2));
  cri::PullImageResponse response;
  EXPECT_EQ(
      node_->images().PullImage(&context, request, &response).error_code(),
      grpc::StatusCode::DEADLINE_EXCEEDED);
  for (int i = 0; i < 200 && !absl::StrContains(node_->DaemonLog(),
                                                "the request was cancelled");
       ++i) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_THAT(*ListDir(node_->root() + "/images/blobs/sha256"), IsEmpty());
  ExpectNothingNew();
  // The same by the other service.
  control::v1::PullImageRequest told;
  told.set_reference(Name());
  {
    grpc::ClientContext hang_up;
    const auto reader = node_->control().PullImage(&hang_up, told);
    control::v1::PullProgress progress;
    EXPECT_TRUE(reader->Read(&progress));
    hang_up.TryCancel();
    EXPECT_FALSE(FromGrpc(reader->Finish()).ok());
  }
  at_blob_ = nullptr;
  EXPECT_OK(PullImage(*node_, Name()));
}

TEST_F(RegistryImagesTest, AnUnsignedImageIsRefusedInKubeletsWords) {
  NodeOptions options;
  options.more_config =
      absl::StrCat("[image]\nsigned_images = [\"", server_->host(),
                   "/*\"]\nsignature_keys = [\"", made_ / "key.pub", "\"]\n");
  ASSERT_NO_FATAL_FAILURE(StartNode(options));
  Mark();
  const auto pulled = PullImage(*node_, Name());
  EXPECT_THAT(pulled, HasStatus(absl::StatusCode::kUnknown, "key.pub"));
  EXPECT_TRUE(absl::StartsWith(pulled.status().message(),
                               "SignatureValidationFailed: "))
      << pulled.status();
  ExpectNothingNew();
}

TEST_F(RegistryImagesTest, TenPullsFromARealRegistryAtOnce) {
  SERAI_NEED_REGISTRY();
  ASSERT_NO_FATAL_FAILURE(StartNode());
  ASSERT_OK_AND_ASSIGN(const auto registry, LocalRegistry::Start());
  const std::string name = registry->host() + "/team/web";
  for (const char* tag : {":1", ":2"}) {
    ASSERT_OK_AND_ASSIGN(const auto reference,
                         oci::Reference::Parse(name + tag));
    ASSERT_OK(oci::Push(*layout_, manifest_, reference, {}, {}, nullptr));
  }
  Mark();
  std::vector<std::thread> pulls;
  for (int i = 0; i < 10; ++i) {
    pulls.emplace_back([&, i] {
      EXPECT_OK(PullImage(*node_, name + (i % 2 == 0 ? ":1" : ":2")));
    });
  }
  for (std::thread& pull : pulls) pull.join();
  ASSERT_EQ(List().images_size(), 1);
  const cri::Image image = List().images(0);
  EXPECT_THAT(image.repo_tags(), SizeIs(2));
  EXPECT_THAT(image.repo_digests(), SizeIs(1));
  // The id is the same however it is asked for.
  const std::string hex = image.id().substr(7);
  for (const std::string& asked :
       {name + ":1", name + ":2", image.repo_digests(0), image.id(), hex,
        hex.substr(0, 12)}) {
    EXPECT_EQ(StatusOfImage(asked)->image().id(), image.id()) << asked;
  }
  EXPECT_OK(RemoveImage(image.id()));
  ExpectNothingNew();
}

}  // namespace
}  // namespace serai::testing
