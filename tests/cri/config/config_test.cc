// SPDX-License-Identifier: Apache-2.0
#include "cri/config/config.h"

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;

absl::Status Apply(const std::string& text) {
  Config config;
  return ApplyToml(text, "test.toml", config);
}

TEST(ConfigTest, SettingsGoOverTheDefaults) {
  Config config;
  ASSERT_OK(ApplyToml(R"(
version = 1
root = "/data"
[cri]
socket = "/run/x.sock"
[handlers.small]
default_memory = "16Mi"
[cni]
bin_dirs = ["/a", "/b"]
timeout = "2s"
)",
                      "test.toml", config));
  EXPECT_EQ(config.root, "/data");
  EXPECT_EQ(config.state, "/run/serai");
  EXPECT_EQ(config.cri.socket, "/run/x.sock");
  EXPECT_EQ(config.handlers.at("small").default_memory, 16 << 20);
  EXPECT_EQ(config.handlers.count("unikernel"), 1u);
  EXPECT_THAT(config.cni.bin_dirs, ElementsAre("/a", "/b"));
  EXPECT_EQ(config.cni.timeout, absl::Seconds(2));
}

TEST(ConfigTest, MistakesAreNamedWithTheirPlace) {
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(Apply("version = 1\nrooot = \"/x\"\n"),
              HasStatus(kBad, "test.toml:2:1: unknown key \"rooot\""));
  EXPECT_THAT(Apply("version = 1\n[cri]\nsock = 1\n"),
              HasStatus(kBad, "test.toml:3:1: unknown key \"sock\" in [cri]"));
  EXPECT_THAT(Apply("version = 1\nroot = 7\n"),
              HasStatus(kBad, "test.toml:2:8: a string is wanted"));
  EXPECT_THAT(Apply("version = 1\nroot = \"x\"\n"),
              HasStatus(kBad, "absolute path"));
  EXPECT_THAT(Apply("version = 1\n[handlers.a]\ndefault_memory = \"64MB\"\n"),
              HasStatus(kBad, "no quantity"));
  EXPECT_THAT(Apply("version = 1\n[cni]\ntimeout = \"soon\"\n"),
              HasStatus(kBad, "duration"));
  EXPECT_THAT(Apply("version = 2\n"), HasStatus(kBad, "version 1"));
  EXPECT_THAT(Apply(""), HasStatus(kBad, "\"version = 1\" is missing"));
  EXPECT_THAT(Apply("version = \n"), HasStatus(kBad, "test.toml:1:"));
}

TEST(ConfigTest, DropInsComeInOrder) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "config.toml", "version = 1\nroot = \"/a\""));
  ASSERT_OK(MakeDirs(dir / "config.toml.d"));
  ASSERT_OK(WriteFileAtomic(dir / "config.toml.d/20.toml",
                            "version = 1\nroot = \"/c\""));
  ASSERT_OK(WriteFileAtomic(dir / "config.toml.d/10.toml",
                            "version = 1\nroot = \"/b\"\nstate = \"/s\""));
  ASSERT_OK(WriteFileAtomic(dir / "config.toml.d/README", "not read"));
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig(dir / "config.toml"));
  EXPECT_EQ(config.root, "/c");
  EXPECT_EQ(config.state, "/s");
}

TEST(ConfigTest, AMissingFileIsNotFound) {
  EXPECT_THAT(LoadConfig("/nonexistent/config.toml"),
              HasStatus(absl::StatusCode::kNotFound, "/nonexistent"));
}

}  // namespace
}  // namespace serai::cri
