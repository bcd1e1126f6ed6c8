// SPDX-License-Identifier: Apache-2.0
#pragma once

// A registry of one repository and a store, for tests of pulls.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "cri/image/pull.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/oci/tar_writer.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {

using ::serai::testing::HttpServer;
using ::serai::testing::HttpServerRequest;
using ::serai::testing::TempDir;

using Reply = HttpServer::Reply;

// Makes images in a layout, for a registry to serve.
class ImageMaker {
 public:
  explicit ImageMaker(const std::string& directory)
      : layout_(*oci::Layout::Create(directory)) {}

  const oci::Layout& layout() const { return layout_; }

  std::string Layer() const {
    std::string tar;
    oci::TarWriter writer([&](absl::string_view data) {
      tar.append(data.data(), data.size());
      return absl::OkStatus();
    });
    EXPECT_OK(writer.AddFile("app.hvt", 0755, file_content));
    EXPECT_OK(writer.Finish());
    return tar;
  }

  oci::Descriptor Manifest() const {
    const std::string layer = Layer();
    oci::ImageConfig config;
    config.architecture = architecture;
    config.os = "linux";
    for (int i = 0; i < diff_ids; ++i) {
      config.diff_ids.push_back(oci::DigestOf(wrong_diff_id ? "other" : layer));
    }
    oci::Manifest manifest;
    manifest.config = Blob(config_type, oci::ToJson(config));
    manifest.layers = {Blob(layer_type, layer)};
    manifest.layers[0].size += extra_layer_size;
    manifest.annotations = annotations;
    return Blob(oci::kMediaTypeManifest, oci::ToJson(manifest));
  }

  oci::Descriptor Index(std::vector<oci::Descriptor> manifests) const {
    oci::Index index;
    index.manifests = std::move(manifests);
    return Blob(oci::kMediaTypeIndex, oci::ToJson(index));
  }

  // What the images made from now on are like.
  std::string file_content = "a unikernel";
  std::string architecture = std::string(oci::HostArchitecture());
  std::string config_type = oci::kMediaTypeConfig;
  std::string layer_type = oci::kMediaTypeLayer;
  int diff_ids = 1;
  bool wrong_diff_id = false;
  int64_t extra_layer_size = 0;
  oci::StringMap annotations;

 private:
  oci::Descriptor Blob(absl::string_view type, absl::string_view data) const {
    auto blob = layout_.WriteBlob(type, data);
    EXPECT_OK(blob);
    return *blob;
  }
  oci::Layout layout_;
};

// A registry of one repository, whose only tag is `tag`. It serves everything
// that ImageMaker made, but for the paths that hold `fault_at`: there, `fault`
// answers.
class PullTest : public ::testing::Test {
 protected:
  PullTest()
      : made_(dir_ / "made"),
        server_([this](const HttpServerRequest& request, Reply& reply) {
          Serve(request, reply);
        }) {
    options_.registry.first_wait = absl::Milliseconds(1);
  }

  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_,
                         ImageStore::Open(dir_ / "store", store_options_));
    top_ = made_.Manifest();
  }

  void Serve(const HttpServerRequest& request, Reply& reply) {
    if (fault_ && absl::StrContains(request.path, fault_at_)) {
      return fault_(request, reply);
    }
    const size_t slash = request.path.rfind('/');
    const std::string name = request.path.substr(slash + 1);
    const auto tag = tags_.find(name);
    const auto digest = name == "1" ? absl::StatusOr<oci::Digest>(top_.digest)
                        : tag != tags_.end()
                            ? absl::StatusOr<oci::Digest>(tag->second)
                            : oci::Digest::Parse(name);
    if (!digest.ok() || !made_.layout().HasBlob(*digest)) {
      return reply.Answer(404, "");
    }
    reply.Answer(200, *made_.layout().ReadBlob(*digest, 64 << 20));
  }

  void FailAt(std::string where,
              std::function<void(const HttpServerRequest&, Reply&)> how) {
    fault_at_ = std::move(where);
    fault_ = std::move(how);
  }
  void AnswerAt(const std::string& where, int status, const std::string& body) {
    FailAt(where, [=](const HttpServerRequest&, Reply& reply) {
      reply.Answer(status, body);
    });
  }

  std::string Name() const { return server_.host() + "/team/app"; }

  absl::StatusOr<Image> Pull(const std::string& name,
                             const oci::Cancelled& cancelled = nullptr,
                             const oci::Credentials& credentials = {},
                             const PullObserver& observer = nullptr) {
    if (!puller_) puller_.emplace(store_.get(), options_);
    ASSIGN_OR_RETURN(const auto reference, oci::Reference::Parse(name));
    return puller_->Pull(reference, credentials, cancelled, observer);
  }
  absl::StatusOr<Image> PullTag() { return Pull(Name() + ":1"); }

  int RequestsOf(const oci::Digest& digest) const {
    int count = 0;
    for (const HttpServerRequest& request : server_.requests()) {
      if (absl::EndsWith(request.path, digest.ToString())) ++count;
    }
    return count;
  }

  void ExpectNothingLeft() {
    EXPECT_THAT(store_->List(), ::testing::IsEmpty());
    EXPECT_THAT(*ListDir(dir_ / "store/images/blobs/sha256"),
                ::testing::IsEmpty());
    EXPECT_THAT(*ListDir(dir_ / "store/unpacked"), ::testing::IsEmpty());
  }

  TempDir dir_;
  ImageMaker made_;
  oci::Descriptor top_;
  std::map<std::string, oci::Digest> tags_;  // beside "1"
  std::string fault_at_;
  std::function<void(const HttpServerRequest&, Reply&)> fault_;
  std::atomic<bool> done_ = false;  // ends handlers that stall
  HttpServer server_;
  PullOptions options_;
  ImageStoreOptions store_options_ = serai::testing::StoreOptions();
  std::unique_ptr<ImageStore> store_;
  std::optional<Puller> puller_;
};

}  // namespace serai::cri
