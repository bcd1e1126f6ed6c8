// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/image/pull_test.h"

#include <sched.h>
#include <sys/mount.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/oci/tar_writer.h"
#include "tests/support/registry.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::LocalRegistry;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(PullTest, ByTagNamesTheImageAndUnpacksIt) {
  ASSERT_OK_AND_ASSIGN(const Image image, PullTag());
  EXPECT_THAT(image.repo_tags, ElementsAre(Name() + ":1"));
  EXPECT_THAT(image.repo_digests,
              ElementsAre(Name() + "@" + top_.digest.ToString()));
  EXPECT_EQ(*ReadFile(image.rootfs + "/app.hvt", 100), "a unikernel");
  EXPECT_EQ(store_->Resolve(Name() + ":1")->id, image.id);
}

TEST_F(PullTest, ByDigestHasNoTag) {
  ASSERT_OK_AND_ASSIGN(const Image image,
                       Pull(Name() + "@" + top_.digest.ToString()));
  EXPECT_THAT(image.repo_tags, IsEmpty());
  EXPECT_THAT(image.repo_digests, SizeIs(1));
}

TEST_F(PullTest, IndexGivesTheManifestOfThisMachine) {
  oci::Descriptor own = made_.Manifest();
  own.platform = oci::Platform{made_.architecture, "linux", ""};
  made_.architecture = "s390x";
  oci::Descriptor other = made_.Manifest();
  other.platform = oci::Platform{"s390x", "linux", ""};
  top_ = made_.Index({other, own});
  ASSERT_OK_AND_ASSIGN(const Image image, PullTag());
  EXPECT_EQ(RequestsOf(other.digest), 0);
  EXPECT_THAT(image.repo_digests,
              ElementsAre(Name() + "@" + top_.digest.ToString()));
}

TEST_F(PullTest, ImageForOtherMachinesSaysWhich) {
  made_.architecture = "s390x";
  oci::Descriptor other = made_.Manifest();
  other.platform = oci::Platform{"s390x", "linux", ""};
  constexpr auto kWrong = absl::StatusCode::kFailedPrecondition;
  top_ = made_.Index({other});
  EXPECT_THAT(PullTag(), HasStatus(kWrong, "s390x"));
  top_ = other;
  EXPECT_THAT(PullTag(), HasStatus(kWrong, "the image is for linux/s390x"));
  ExpectNothingLeft();
}

TEST_F(PullTest, IndexInAnIndexIsRefused) {
  oci::Descriptor inner = made_.Index({});
  inner.platform = oci::Platform{made_.architecture, "linux", ""};
  inner.media_type = oci::kMediaTypeManifest;
  top_ = made_.Index({inner});
  EXPECT_THAT(PullTag(), HasStatus(absl::StatusCode::kInvalidArgument,
                                   "no image manifest"));
  ExpectNothingLeft();
}

TEST_F(PullTest, SecondPullFetchesOnlyTheManifest) {
  ASSERT_OK(PullTag());
  const size_t before = server_.requests().size();
  ASSERT_OK(PullTag());
  EXPECT_EQ(server_.requests().size(), before + 1);
}

TEST_F(PullTest, TagMovesToTheNewImage) {
  ASSERT_OK_AND_ASSIGN(const Image first, PullTag());
  made_.file_content = "a newer unikernel";
  top_ = made_.Manifest();
  ASSERT_OK_AND_ASSIGN(const Image second, PullTag());
  EXPECT_NE(first.id, second.id);
  EXPECT_EQ(store_->Resolve(Name() + ":1")->id, second.id);
}

TEST_F(PullTest, PullsAtTheSameTimeFetchEachBlobOnce) {
  constexpr int kPulls = 6;
  const oci::Digest layer = oci::DigestOf(made_.Layer());
  FailAt(layer.ToString(), [&](const HttpServerRequest&, Reply& reply) {
    // Until all have asked for the manifest, none has the layer.
    const auto manifests = [&] {
      int count = 0;
      for (const auto& request : server_.requests()) {
        if (absl::EndsWith(request.path, "/manifests/1")) ++count;
      }
      return count;
    };
    for (int i = 0; i < 1000 && manifests() < kPulls; ++i) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    reply.Answer(200, made_.Layer());
  });
  puller_.emplace(store_.get(), options_);
  std::vector<std::thread> threads;
  std::atomic<int> succeeded = 0;
  for (int i = 0; i < kPulls; ++i) {
    threads.emplace_back([&] {
      const auto image = PullTag();
      EXPECT_OK(image);
      if (image.ok()) ++succeeded;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(succeeded, kPulls);
  EXPECT_EQ(RequestsOf(layer), 1);
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(PullTest, WaitingPullCanBeCancelledAndGoesOnAfterAFailure) {
  const oci::Digest layer = oci::DigestOf(made_.Layer());
  std::atomic<int> asked = 0;
  std::atomic<bool> fail_first = false;
  FailAt(layer.ToString(), [&](const HttpServerRequest&, Reply& reply) {
    if (++asked > 1) return reply.Answer(200, made_.Layer());
    fail_first.wait(false);
    reply.Answer(404, "");
  });
  puller_.emplace(store_.get(), options_);
  std::thread first([&] {
    EXPECT_THAT(PullTag(), HasStatus(absl::StatusCode::kNotFound, "404"));
  });
  while (asked == 0) absl::SleepFor(absl::Milliseconds(5));
  const absl::Time soon = absl::Now() + absl::Milliseconds(300);
  EXPECT_THAT(Pull(Name() + ":1", [&] { return absl::Now() > soon; }),
              HasStatus(absl::StatusCode::kCancelled, "cancelled"));
  std::thread third([&] { EXPECT_OK(PullTag()); });
  fail_first = true;
  fail_first.notify_all();
  first.join();
  third.join();
}

struct Fault {
  const char* what;
  const char* at;  // "manifest", "config" or "layer"
  absl::StatusCode code;
  const char* message;
  std::function<void(const HttpServerRequest&, Reply&)> how;
};

class PullFaultTest : public PullTest,
                      public ::testing::WithParamInterface<Fault> {};

TEST_P(PullFaultTest, IsOneClearErrorAndLeavesNothing) {
  const Fault& fault = GetParam();
  made_.file_content = std::string(1 << 20, 'u');
  top_ = made_.Manifest();
  const auto manifest =
      oci::ParseManifest(*made_.layout().ReadBlob(top_.digest));
  ASSERT_OK(manifest);
  const std::string at = fault.at;
  FailAt(at == "manifest" ? "/manifests/1"
         : at == "config" ? manifest->config.digest.ToString()
                          : manifest->layers[0].digest.ToString(),
         fault.how);
  const auto image = PullTag();
  EXPECT_THAT(image, HasStatus(fault.code, fault.message));
  EXPECT_THAT(image, HasStatus(fault.code, "pulling " + Name() + ":1: "));
  EXPECT_THAT(image, HasStatus(fault.code, server_.host() + "/v2/team/app/"));
  ExpectNothingLeft();
}

void HalfWay(const HttpServerRequest&, Reply& reply) {
  reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf");
}
void Endless(const HttpServerRequest&, Reply& reply) {
  reply.Send("HTTP/1.1 200 OK\r\n\r\n");
  while (reply.Send(std::string(65536, 'x'))) {
  }
}
std::function<void(const HttpServerRequest&, Reply&)> Status(
    int status, std::string body = "") {
  return [=](const HttpServerRequest&, Reply& reply) {
    reply.Answer(status, body);
  };
}
void SameLengthOtherContent(const HttpServerRequest&, Reply& reply) {
  // The layer: header and end of a tar around a file of 1 MiB.
  reply.Answer(200, std::string((1 << 20) + 512 + 1024, 'x'));
}

INSTANTIATE_TEST_SUITE_P(
    All, PullFaultTest,
    ::testing::Values(
        Fault{"NoTag", "manifest", absl::StatusCode::kNotFound, "404",
              Status(404)},
        Fault{"ManifestError", "manifest", absl::StatusCode::kUnavailable,
              "500", Status(500)},
        Fault{"ManifestHalf", "manifest", absl::StatusCode::kUnavailable, "",
              HalfWay},
        Fault{"ManifestEndless", "manifest",
              absl::StatusCode::kResourceExhausted, "4194304", Endless},
        Fault{"ManifestNoJson", "manifest", absl::StatusCode::kInvalidArgument,
              "", Status(200, "<html>")},
        Fault{"ManifestDeep", "manifest", absl::StatusCode::kInvalidArgument,
              "", Status(200, std::string(1 << 20, '['))},
        Fault{"NoConfig", "config", absl::StatusCode::kNotFound, "404",
              Status(404)},
        Fault{"ConfigEndless", "config", absl::StatusCode::kDataLoss, "longer",
              Endless},
        Fault{"LayerForbidden", "layer", absl::StatusCode::kPermissionDenied,
              "403", Status(403)},
        Fault{"LayerError", "layer", absl::StatusCode::kUnavailable, "503",
              Status(503)},
        Fault{"LayerHalf", "layer", absl::StatusCode::kUnavailable, "",
              HalfWay},
        Fault{"LayerEndless", "layer", absl::StatusCode::kDataLoss, "longer",
              Endless},
        Fault{"LayerOther", "layer", absl::StatusCode::kDataLoss, "digest",
              SameLengthOtherContent}),
    [](const auto& test) { return std::string(test.param.what); });

TEST_F(PullTest, BrokenImagesLeaveNothing) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const ImageMaker good = made_;

  made_.config_type = "application/vnd.cncf.helm.config.v1+json";
  top_ = made_.Manifest();
  EXPECT_THAT(PullTag(), HasStatus(kInvalid, "not a container image"));

  made_ = good;
  made_.layer_type = "application/vnd.example.layer";
  top_ = made_.Manifest();
  EXPECT_THAT(PullTag(), HasStatus(kInvalid, "can't be unpacked"));

  made_ = good;
  made_.diff_ids = 2;
  top_ = made_.Manifest();
  EXPECT_THAT(PullTag(), HasStatus(kInvalid, "1 layers, the config 2"));

  made_ = good;
  made_.wrong_diff_id = true;
  top_ = made_.Manifest();
  EXPECT_THAT(PullTag(), HasStatus(absl::StatusCode::kDataLoss, ""));

  made_ = good;
  made_.extra_layer_size = int64_t{2} << 30;
  top_ = made_.Manifest();
  EXPECT_THAT(PullTag(), HasStatus(absl::StatusCode::kResourceExhausted,
                                   "2147483648 bytes allowed"));
  ExpectNothingLeft();
}

TEST_F(PullTest, BlobHereOfAnotherSizeThanSaidIsDataLoss) {
  ASSERT_OK(PullTag());
  made_.extra_layer_size = 1;
  top_ = made_.Manifest();
  EXPECT_THAT(PullTag(), HasStatus(absl::StatusCode::kDataLoss, "bytes"));
}

TEST_F(PullTest, FullDiskIsResourceExhausted) {
  SERAI_NEED("root");
  made_.file_content = std::string(4 << 20, 'u');
  top_ = made_.Manifest();
  const std::string mountpoint = dir_ / "small";
  ASSERT_OK(MakeDirs(mountpoint));
  // In a mount namespace of its own, which ends with the thread.
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", mountpoint.c_str(), "tmpfs", 0, "size=1m"), 0);
    ASSERT_OK_AND_ASSIGN(
        const auto store,
        ImageStore::Open(mountpoint, serai::testing::StoreOptions()));
    Puller puller(store.get(), options_);
    EXPECT_THAT(puller.Pull(*oci::Reference::Parse(Name() + ":1"), {}, nullptr),
                HasStatus(absl::StatusCode::kResourceExhausted, "No space"));
    EXPECT_THAT(*ListDir(mountpoint + "/images/blobs/sha256"), IsEmpty());
    EXPECT_THAT(*ListDir(mountpoint + "/unpacked"), IsEmpty());
  }).join();
}

TEST_F(PullTest, CancelledPullLeavesNothing) {
  std::atomic<bool> begun = false;
  std::atomic<bool> over = false;
  FailAt(oci::DigestOf(made_.Layer()).ToString(),
         [&](const HttpServerRequest&, Reply& reply) {
           reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 2048\r\n\r\nx");
           begun = true;
           over.wait(false);
         });
  EXPECT_THAT(Pull(Name() + ":1", [&] { return begun.load(); }),
              HasStatus(absl::StatusCode::kCancelled, "cancelled"));
  over = true;
  over.notify_all();
  ExpectNothingLeft();
}

TEST_F(PullTest, WhatKubeletCallsUnavailable) {
  EXPECT_TRUE(IsRegistryUnavailable(absl::UnavailableError("")));
  EXPECT_TRUE(IsRegistryUnavailable(absl::DeadlineExceededError("")));
  EXPECT_FALSE(IsRegistryUnavailable(absl::NotFoundError("")));
  EXPECT_FALSE(IsRegistryUnavailable(absl::OkStatus()));
  const auto refused = Pull("127.0.0.1:1/a:1");
  EXPECT_TRUE(IsRegistryUnavailable(refused.status())) << refused.status();
}

TEST_F(PullTest, FromARealRegistryWithAPassword) {
  SERAI_NEED_REGISTRY();
  ASSERT_OK_AND_ASSIGN(const auto registry,
                       LocalRegistry::Start(LocalRegistry::Auth::kBasic));
  oci::Credentials credentials;
  credentials.username = LocalRegistry::kUsername;
  credentials.password = LocalRegistry::kPassword;
  const std::string name = registry->host() + "/team/app";
  ASSERT_OK_AND_ASSIGN(const auto reference,
                       oci::Reference::Parse(name + ":1"));
  ASSERT_OK(
      oci::Push(made_.layout(), top_, reference, credentials, {}, nullptr));

  EXPECT_THAT(Pull(name + ":1"),
              HasStatus(absl::StatusCode::kUnauthenticated, "credentials"));
  EXPECT_THAT(Pull(name + ":2", nullptr, credentials),
              HasStatus(absl::StatusCode::kNotFound, "manifest unknown"));
  ExpectNothingLeft();
  ASSERT_OK_AND_ASSIGN(const Image by_tag,
                       Pull(name + ":1", nullptr, credentials));
  ASSERT_OK_AND_ASSIGN(
      const Image by_digest,
      Pull(name + "@" + top_.digest.ToString(), nullptr, credentials));
  EXPECT_EQ(by_tag.id, by_digest.id);
}

}  // namespace
}  // namespace serai::cri
