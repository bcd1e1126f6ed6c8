// SPDX-License-Identifier: Apache-2.0
#include "cli/pod_yaml.h"

#include <cstdint>

#include "cli/manifest.h"
#include "tests/support/status_matchers.h"

namespace serai::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// What `serai inspect` says of an image with these devices and annotations.
json Image(const json& devices, const json& annotations = json::object()) {
  return {{"unikernels",
           {{{"path", "/app.hvt"},
             {"devices", devices},
             {"memory_floor_bytes", uint64_t{100} << 20}}}},
          {"image", {{"annotations", annotations}}}};
}
json Block(const std::string& name) {
  return {{"name", name}, {"type", "BLOCK_BASIC"}};
}

TEST(PodYamlTest, IsAManifestThatRunAccepts) {
  const std::string yaml = PodYaml(
      Image({Block("data"), {{"name", "service"}, {"type", "NET_BASIC"}}}),
      "registry.example/team/Web:1");
  ASSERT_OK_AND_ASSIGN(const PodManifest pod, ParsePodManifest(yaml));
  EXPECT_EQ(pod.sandbox.metadata().name(), "web");
  EXPECT_EQ(pod.runtime_handler, "unikernel");
  EXPECT_EQ(pod.container.image().image(), "registry.example/team/Web:1");
  EXPECT_EQ(pod.container.linux().resources().memory_limit_in_bytes(),
            200 << 20);
  ASSERT_EQ(pod.container.mounts_size(), 1);
  EXPECT_EQ(pod.container.mounts(0).container_path(), "/mnt/data");
  EXPECT_EQ(pod.empty_dirs.size(), 1u);
  EXPECT_EQ(pod.sandbox.annotations().at("serai.dev/size.data"), "1Gi");
  EXPECT_THAT(yaml, HasSubstr("# network device service: the pod's interface"));
}

TEST(PodYamlTest, TheImagesWordsChooseTheVolumes) {
  const std::string yaml =
      PodYaml(Image({Block("config"), Block("key"), Block("disk"),
                     Block("files"), Block("cache"), Block("own")},
                    {{"dev.serai.volume.config", "configMap"},
                     {"dev.serai.volume.key", "Secret"},
                     {"dev.serai.volume.disk", "block"},
                     {"dev.serai.volume.cache", "emptyDir 2Gi"},
                     {"dev.serai.volume.own", "my\n  evil: words"},
                     {"dev.serai.block.files", "/files.img"}}),
              "app");
  EXPECT_THAT(yaml, HasSubstr("  - name: \"config\"\n    configMap: {name: "
                              "\"config\"}\n"));
  EXPECT_THAT(yaml, HasSubstr("    secret: {secretName: \"key\"}\n"));
  EXPECT_THAT(yaml,
              HasSubstr("    - {name: \"disk\", devicePath: /dev/disk}\n"));
  EXPECT_THAT(yaml,
              HasSubstr("persistentVolumeClaim: {claimName: \"disk\"}\n"));
  EXPECT_THAT(yaml, HasSubstr("serai.dev/size.cache: \"2Gi\"\n"));
  EXPECT_THAT(yaml, HasSubstr("device files: the image's file \"/files.img\""));
  EXPECT_THAT(yaml, HasSubstr("# the image wants: \"my\\n  evil: words\"\n"));
}

TEST(PodYamlTest, NamesAreMadeToFit) {
  const std::string yaml =
      PodYaml(Image({Block("Data"), Block("data"), Block("no good: name")}),
              "localhost:5000/a_b@sha256:0");
  ASSERT_OK_AND_ASSIGN(const PodManifest pod, ParsePodManifest(yaml));
  EXPECT_EQ(pod.sandbox.metadata().name(), "a-b");
  ASSERT_EQ(pod.empty_dirs.size(), 2u);
  EXPECT_EQ(pod.empty_dirs.at(0), "data");
  EXPECT_EQ(pod.empty_dirs.at(1), "data-2");
}

TEST(PodYamlTest, ANameThatLooksLikeANumberOrABooleanIsAString) {
  ASSERT_OK_AND_ASSIGN(
      const PodManifest pod,
      ParsePodManifest(PodYaml(Image({Block("true"), Block("7")}), "x/123")));
  EXPECT_EQ(pod.sandbox.metadata().name(), "123");
  EXPECT_EQ(pod.empty_dirs.at(0), "true");
  EXPECT_EQ(pod.empty_dirs.at(1), "7");
}

TEST(PodYamlTest, WhatIsNoDescriptionMakesNoDevices) {
  for (const json& image :
       {json::object(), json{{"unikernels", "x"}}, json{{"unikernels", {1}}},
        json{{"image", {{"annotations", 3}}},
             {"unikernels", {{{"devices", {{{"name", 7}}, "x"}}}}}}}) {
    const auto pod = ParsePodManifest(PodYaml(image, "a"));
    EXPECT_TRUE(pod.ok()) << image << ": " << pod.status();
  }
}

}  // namespace
}  // namespace serai::cli
