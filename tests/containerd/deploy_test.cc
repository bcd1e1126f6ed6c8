// SPDX-License-Identifier: Apache-2.0
// What deploy/containerd/ has for a node, beside what starting containerd with
// it shows: the other tests here do so.
#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/base/quantity.h"
#include "lib/base/toml.h"
#include "lib/guest/memory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_containerd.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

std::string Deployed(const std::string& name) {
  const auto text = ReadFile(
      absl::StrCat(SERAI_SOURCE_DIR "/deploy/containerd/", name), 1 << 16);
  EXPECT_OK(text);
  return text.value_or("");
}

// The table of the handler in a configuration of containerd's.
toml::table Handler(const std::string& file, const std::string& plugin) {
  const toml::parse_result parsed = toml::parse(Deployed(file));
  if (!parsed) {
    ADD_FAILURE() << file << ": " << parsed.error().description();
    return {};
  }
  const toml::table* const handler =
      parsed["plugins"][plugin]["containerd"]["runtimes"]["unikernel"]
          .as_table();
  if (handler == nullptr) {
    ADD_FAILURE() << file << " has no handler";
    return {};
  }
  return *handler;
}

TEST(DeployTest, BothVersionsOfTheConfigurationSayTheSame) {
  const toml::table v2 = Handler("config-v2.toml", "io.containerd.grpc.v1.cri");
  const toml::table v3 =
      Handler("config-v3.toml", "io.containerd.cri.v1.runtime");
  EXPECT_EQ(v2, v3);
  EXPECT_EQ(v2["runtime_type"].value_or(""),
            std::string("io.containerd.serai.v2"));
  EXPECT_EQ(toml::parse(Deployed("config-v3.toml"))["version"].value_or(0), 3);
}

TEST(DeployTest, TheRuntimeClassHasTheOverheadThatTheShimAdds) {
  const YAML::Node runtime_class = YAML::Load(Deployed("runtimeclass.yaml"));
  EXPECT_EQ(runtime_class["kind"].as<std::string>(), "RuntimeClass");
  EXPECT_EQ(runtime_class["handler"].as<std::string>(), "unikernel");
  ASSERT_OK_AND_ASSIGN(
      const int64_t memory,
      ParseQuantity(
          runtime_class["overhead"]["podFixed"]["memory"].as<std::string>()));
  EXPECT_EQ(memory, guest::kOverheadMemory);
}

class DeployedTest : public ContainerdTest {};

TEST_F(DeployedTest, AnnotationsOfPodsReachTheShim) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       containerd_->ImportGuests("hello", {"hello.spt"}));
  auto config = containerd_->PodConfig("annotated");
  (*config.mutable_annotations())["serai.dev/unikernel"] = "/not-there";
  ASSERT_OK_AND_ASSIGN(const std::string pod, containerd_->RunPod(config));
  ASSERT_OK_AND_ASSIGN(
      const std::string container,
      containerd_->Create(pod, containerd_->ContainerConfig(image, {})));
  const absl::Status started = containerd_->StartContainer(container);
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.message()), HasSubstr("/not-there"));
  EXPECT_OK(containerd_->RemovePod(pod));
}

TEST_F(DeployedTest, AnnotationsOfContainersReachTheShim) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       containerd_->ImportGuests("hello", {"hello.spt"}));
  ASSERT_OK_AND_ASSIGN(const std::string pod, containerd_->RunPod("annotated"));
  auto config = containerd_->ContainerConfig(image, {});
  (*config.mutable_annotations())["dev.serai.unikernel"] = "/not-there";
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       containerd_->Create(pod, config));
  const absl::Status started = containerd_->StartContainer(container);
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.message()), HasSubstr("/not-there"));
  EXPECT_OK(containerd_->RemovePod(pod));
}

}  // namespace
}  // namespace serai::testing
