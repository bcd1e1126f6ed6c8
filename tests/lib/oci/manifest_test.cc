// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/manifest.h"

#include "absl/strings/str_replace.h"
#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using ::testing::ElementsAre;
using testing::HasStatus;
using ::testing::Pair;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

Descriptor SomeDescriptor(const char* media_type, const char* content) {
  Descriptor descriptor;
  descriptor.media_type = media_type;
  descriptor.digest = DigestOf(content);
  descriptor.size = 7;
  return descriptor;
}

Manifest SomeManifest() {
  Manifest manifest;
  manifest.config = SomeDescriptor(kMediaTypeConfig, "config");
  manifest.layers = {SomeDescriptor(kMediaTypeLayer, "one"),
                     SomeDescriptor(kMediaTypeLayerGzip, "two")};
  manifest.annotations = {{"b", "2"}, {"a", "1"}};
  return manifest;
}

std::string Nested(int depth) {
  return R"({"schemaVersion":2,"x":)" +
         std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']') + "}";
}

TEST(ManifestTest, ReadsWhatItWrites) {
  const Manifest manifest = SomeManifest();
  ASSERT_OK_AND_ASSIGN(const Manifest again, ParseManifest(ToJson(manifest)));
  EXPECT_EQ(again.config.digest, manifest.config.digest);
  ASSERT_EQ(again.layers.size(), 2u);
  EXPECT_EQ(again.layers[1].media_type, kMediaTypeLayerGzip);
  EXPECT_EQ(again.layers[1].size, 7);
  EXPECT_THAT(again.annotations, ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(ToJson(again), ToJson(manifest));
}

TEST(ManifestTest, ReadsAnIndexWithPlatforms) {
  Index index;
  Descriptor arm = SomeDescriptor(kMediaTypeManifest, "arm");
  arm.platform = Platform{"arm64", "linux", "v8"};
  Descriptor host = SomeDescriptor(kMediaTypeManifest, "host");
  host.platform = Platform{std::string(HostArchitecture()), "linux", ""};
  index.manifests = {arm, host};
  ASSERT_OK_AND_ASSIGN(Index again, ParseIndex(ToJson(index)));
  EXPECT_EQ(again.manifests[0].platform->variant, "v8");
  ASSERT_OK_AND_ASSIGN(const Descriptor chosen, ChooseManifest(again));
  EXPECT_EQ(chosen.digest, host.digest);
  again.manifests.pop_back();
  EXPECT_THAT(ChooseManifest(again),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        "there is linux/arm64/v8"));
}

TEST(ManifestTest, TakesTheOnlyManifestOfAnIndexWithoutPlatforms) {
  Index index;
  index.manifests = {SomeDescriptor(kMediaTypeManifest, "one")};
  EXPECT_OK(ChooseManifest(index));
  index.manifests.push_back(SomeDescriptor(kMediaTypeManifest, "two"));
  EXPECT_FALSE(ChooseManifest(index).ok());
  EXPECT_FALSE(ChooseManifest(Index{}).ok());
}

TEST(ManifestTest, ReadsAConfigWithGoNulls) {
  ASSERT_OK_AND_ASSIGN(
      const ImageConfig config,
      ParseImageConfig(
          R"({"architecture":"amd64","os":"linux","config":{"Env":null,
              "Entrypoint":["/app"],"Cmd":null,"Labels":null,"User":"1"},
              "rootfs":{"type":"layers","diff_ids":null}})"));
  EXPECT_THAT(config.entrypoint, ElementsAre("/app"));
  EXPECT_TRUE(config.env.empty());
  EXPECT_EQ(config.user, "1");
}

TEST(ManifestTest, ConfigReadsBack) {
  ImageConfig config;
  config.architecture = "amd64";
  config.os = "linux";
  config.cmd = {"--x=1", "a b"};
  config.labels = {{"k", "v"}};
  config.diff_ids = {DigestOf("layer")};
  ASSERT_OK_AND_ASSIGN(const ImageConfig again,
                       ParseImageConfig(ToJson(config)));
  EXPECT_THAT(again.cmd, ElementsAre("--x=1", "a b"));
  EXPECT_EQ(again.diff_ids, config.diff_ids);
}

TEST(ManifestTest, WritesStringsThatAreNotUtf8) {
  Manifest manifest = SomeManifest();
  manifest.annotations["k"] = "\xff\xfe";
  EXPECT_OK(ParseManifest(ToJson(manifest)));
}

TEST(ManifestTest, RefusesDeepNesting) {
  EXPECT_THAT(ParseManifest(Nested(1000000)), HasStatus(kInvalid, "deeper"));
  EXPECT_THAT(ParseIndex(Nested(33)), HasStatus(kInvalid, "deeper"));
  EXPECT_THAT(DetectMediaType(Nested(100)), HasStatus(kInvalid, "deeper"));
}

TEST(ManifestTest, RefusesALongDocument) {
  const std::string text(kMaxDocumentBytes + 1, ' ');
  EXPECT_THAT(ParseManifest(text), HasStatus(kInvalid, "longer"));
}

TEST(ManifestTest, RefusesBadDocumentsWithTheReason) {
  const std::string good = ToJson(SomeManifest());
  const auto with = [&](const char* from, const char* to) {
    return absl::StrReplaceAll(good, {{from, to}});
  };
  EXPECT_THAT(ParseManifest(""), HasStatus(kInvalid, "not valid JSON"));
  EXPECT_THAT(ParseManifest("[]"), HasStatus(kInvalid, "not a JSON object"));
  EXPECT_THAT(ParseManifest("{}"), HasStatus(kInvalid, "schemaVersion"));
  EXPECT_THAT(ParseManifest(with("\"size\":7", "\"size\":-7")),
              HasStatus(kInvalid, "config: size"));
  EXPECT_THAT(ParseManifest(with("\"size\":7", "\"size\":7.5")),
              HasStatus(kInvalid, "config: size"));
  EXPECT_THAT(
      ParseManifest(with("\"size\":7", "\"size\":18446744073709551615")),
      HasStatus(kInvalid, "config: size"));
  EXPECT_THAT(ParseManifest(with("sha256:", "sha256:../")),
              HasStatus(kInvalid, "config: digest"));
  EXPECT_THAT(ParseManifest(with("\"layers\"", "\"manifests\"")),
              HasStatus(kInvalid, "manifests"));
  EXPECT_THAT(ParseManifest(with("\"a\":\"1\"", "\"a\":1")),
              HasStatus(kInvalid, "annotations.a"));
  EXPECT_THAT(ParseIndex(good), HasStatus(kInvalid, "mediaType"));
  EXPECT_THAT(ParseImageConfig(R"({"rootfs":{"diff_ids":["sha256:zz"]}})"),
              HasStatus(kInvalid, "diff_ids"));
}

TEST(ManifestTest, RefusesTooManyLayers) {
  Manifest manifest = SomeManifest();
  manifest.layers.resize(kMaxLayers + 1, manifest.layers[0]);
  EXPECT_THAT(ParseManifest(ToJson(manifest)), HasStatus(kInvalid, "layers"));
}

TEST(ManifestTest, DetectsTheKindOfADocument) {
  EXPECT_EQ(*DetectMediaType(ToJson(SomeManifest())), kMediaTypeManifest);
  EXPECT_EQ(*DetectMediaType(ToJson(Index{})), kMediaTypeIndex);
  EXPECT_EQ(*DetectMediaType(R"({"layers":[]})"), kMediaTypeManifest);
  EXPECT_EQ(*DetectMediaType(R"({"manifests":[]})"), kMediaTypeIndex);
  EXPECT_THAT(DetectMediaType(R"({"mediaType":"text/html","layers":[]})"),
              HasStatus(kInvalid, "text/html"));
}

}  // namespace
}  // namespace serai::oci
