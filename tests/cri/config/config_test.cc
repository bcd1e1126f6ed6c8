// SPDX-License-Identifier: Apache-2.0
#include "cri/config/config.h"

#include <unistd.h>

#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

TEST(ConfigTest, AllMistakesAreToldInTheOrderOfTheirPlaces) {
  EXPECT_EQ(Apply("version = 1\nz = 1\nroot = 7\n"
                  "[cni]\ntimeout = \"soon\"\na = 1\n")
                .message(),
            "test.toml:2:1: unknown key \"z\" in the configuration\n"
            "test.toml:3:8: a string is wanted\n"
            "test.toml:5:11: a duration such as \"60s\" is wanted\n"
            "test.toml:6:1: unknown key \"a\" in [cni]");
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "config.toml", "version = 1\nroot = 1\n"));
  ASSERT_OK(MakeDirs(dir / "config.toml.d"));
  ASSERT_OK(WriteFileAtomic(dir / "config.toml.d/10.toml", "state = 1\n"));
  const auto config = LoadConfig(dir / "config.toml", true);
  EXPECT_THAT(config,
              HasStatus(absl::StatusCode::kInvalidArgument, "config.toml:2:8"));
  EXPECT_THAT(config, HasStatus(absl::StatusCode::kInvalidArgument,
                                "10.toml:1:1: \"version = 1\" is missing"));
}

TEST(ConfigTest, TablesThatAreNoneAreNamed) {
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(Apply("version = 1\ncni = 1\n"),
              HasStatus(kBad, "test.toml:2:7: [cni] is no table"));
  EXPECT_THAT(Apply("version = 1\nhandlers = 1\n"),
              HasStatus(kBad, "[handlers] is no table"));
  EXPECT_THAT(Apply("version = 1\n[handlers]\na = 1\n"),
              HasStatus(kBad, "[handlers.a] is no table"));
}

// With every commented key in force, too.
TEST(ConfigTest, TheDefaultFileReadsAsTheDefaults) {
  const std::string defaults = DefaultToml();
  std::string live;
  for (const auto& piece : absl::StrSplit(defaults, '\n')) {
    const std::string line(piece);
    const bool key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    absl::StrAppend(&live, key ? line.substr(1) : line, "\n");
  }
  Config commented;
  commented.root = "/elsewhere";
  Config config = commented;
  ASSERT_OK(ApplyToml(defaults, "default", commented));
  EXPECT_THAT(KeysThatNeedARestart(commented, Config()), ElementsAre("root"));
  ASSERT_OK(ApplyToml(live, "default", config));
  EXPECT_THAT(KeysThatNeedARestart(config, Config()), IsEmpty());
  EXPECT_THAT(live, HasSubstr("\n[cni]\n"));
  EXPECT_THAT(live, HasSubstr("\nbin_dirs = [\"/opt/cni/bin\", "));
  EXPECT_THAT(live, HasSubstr("\ntimeout = \"60s\"\n"));
  EXPECT_THAT(live, HasSubstr("\ndefault_memory = \"64Mi\"\n"));
}

TEST(ConfigTest, TheManualHasTheDefaultFile) {
  ASSERT_OK_AND_ASSIGN(
      const std::string manual,
      ReadFile(absl::StrCat(SERAI_SOURCE_DIR, "/docs/config.md"), 1 << 20));
  EXPECT_NE(manual.find(absl::StrCat("```toml\n", DefaultToml(), "```\n")),
            std::string::npos)
      << "the first block of docs/config.md is not what `seraid config "
         "default` prints";
}

TEST(ConfigTest, WhatTheMachineLacksIsNamedByItsKey) {
  const TempDir dir;
  Config config;
  config.cni.conf_dir = dir / "net.d";
  config.cni.bin_dirs = {dir / "bin", dir.path()};
  config.registry.config_path = "";
  ASSERT_OK(WriteFileAtomic(dir / "shim", "no program"));
  config.programs.shim = dir / "shim";
  const std::vector<std::string> missing = MissingThings(config);
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_THAT(missing[0], HasSubstr("programs.shim: "));
  EXPECT_THAT(missing[1], HasSubstr("cni.conf_dir: "));
  EXPECT_THAT(missing[1], HasSubstr("No such file"));
}

TEST(ConfigTest, KeysThatNeedARestartAreTheChangedOnes) {
  Config before;
  Config after;
  after.root = "/elsewhere";
  after.cni.timeout = absl::Seconds(1);
  EXPECT_THAT(KeysThatNeedARestart(before, after),
              ElementsAre("root", "cni.timeout"));
}

TEST(ConfigTest, HandlersNeedARestartToo) {
  Config before;
  Config after;
  before.handlers["gone"] = {};
  after.handlers["new"] = {};
  after.handlers["unikernel"].default_memory = 1 << 20;
  EXPECT_THAT(KeysThatNeedARestart(before, after),
              ElementsAre("handlers.gone", "handlers.unikernel.default_memory",
                          "handlers.new"));
}

TEST(ConfigTest, ImagesThatArePinnedOrMustBeSigned) {
  Config config;
  ASSERT_OK(
      ApplyToml("version = 1\n[image]\npinned = [\"a\", \"b*\"]\n"
                "signed_images = [\"r.example/c\"]\n"
                "signature_keys = [\"/k\", \"/l\"]\n",
                "test.toml", config));
  EXPECT_THAT(config.image.pinned, ElementsAre("a", "b*"));
  EXPECT_THAT(config.image.signed_images, ElementsAre("r.example/c"));
  EXPECT_THAT(config.image.signature_keys, ElementsAre("/k", "/l"));
}

TEST(ConfigTest, SignedImagesThatNoNameMatchesAreRefused) {
  const auto apply = [](const std::string& pattern) {
    return Apply(absl::StrCat(
        "version = 1\n[image]\nsigned_images = [\"*\", \"", pattern, "\"]\n"));
  };
  for (const char* bad :
       {"nginx", "team/app", "registry.example", "registry.example/",
        "registry.example/prod/app:1", "registry.example:5000/prod/app:1",
        "*:1", "https://registry.example/*", "", "r.example/prod /app",
        "r.example/app@sha256:"}) {
    EXPECT_THAT(apply(bad),
                HasStatus(absl::StatusCode::kInvalidArgument,
                          absl::StrCat("test.toml:3:23: \"", bad, "\" ")));
  }
  for (const char* good :
       {"*", "*/web", "registry.example:5000/prod/*", "docker.io/library/web",
        "localhost/x", "[::1]:5000/x?", "HOST/x", "*nginx*"}) {
    EXPECT_OK(apply(good));
  }
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
  ASSERT_OK_AND_ASSIGN(const Config config,
                       LoadConfig(dir / "config.toml", true));
  EXPECT_EQ(config.root, "/c");
  EXPECT_EQ(config.state, "/s");
}

TEST(ConfigTest, AMissingFileIsNotFoundOrLeavesTheDefaults) {
  EXPECT_THAT(LoadConfig("/nonexistent/config.toml", true),
              HasStatus(absl::StatusCode::kNotFound, "/nonexistent"));
  ASSERT_OK_AND_ASSIGN(const Config config,
                       LoadConfig("/nonexistent/config.toml", false));
  EXPECT_EQ(config.root, Config().root);
}

TEST(ConfigTest, DropInsAreReadWithoutTheMainFile) {
  const TempDir dir;
  ASSERT_OK(MakeDirs(dir / "config.toml.d"));
  ASSERT_OK(WriteFileAtomic(dir / "config.toml.d/10.toml",
                            "version = 1\nroot = \"/b\""));
  ASSERT_OK_AND_ASSIGN(const Config config,
                       LoadConfig(dir / "config.toml", false));
  EXPECT_EQ(config.root, "/b");
}

// Else all of the configuration would silently be the defaults.
TEST(ConfigTest, LinksThatLeadNowhereAreMistakes) {
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  const TempDir dir;
  const std::string path = dir / "config.toml";
  ASSERT_OK(WriteFileAtomic(path, "version = 1\nroot = 1\n"));
  ASSERT_OK(MakeDirs(dir / "config.toml.d"));
  const std::string drop_in = dir / "config.toml.d/10.toml";
  ASSERT_EQ(::symlink("/nonexistent", drop_in.c_str()), 0);
  for (const bool must_exist : {false, true}) {
    EXPECT_THAT(LoadConfig(path, must_exist), HasStatus(kBad, "10.toml: No"));
    EXPECT_THAT(LoadConfig(path, must_exist), HasStatus(kBad, "toml:2:8"));
  }
  ASSERT_OK(RemoveTree(dir / "config.toml.d"));
  ASSERT_EQ(::symlink("/nonexistent", (path + ".d").c_str()), 0);
  EXPECT_THAT(LoadConfig(path, false), HasStatus(kBad, "config.toml.d: No"));
  ASSERT_OK(RemovePath(path + ".d"));
  ASSERT_OK(RemovePath(path));
  ASSERT_EQ(::symlink("/nonexistent", path.c_str()), 0);
  EXPECT_THAT(LoadConfig(path, false), HasStatus(kBad, "config.toml: No"));
}

TEST(ConfigTest, WhatStopsTheStartIsAMistake) {
  const TempDir dir;
  const auto load = [&](const std::string& text) {
    EXPECT_OK(WriteFileAtomic(dir / "config.toml", "version = 1\n" + text));
    return LoadConfig(dir / "config.toml", true);
  };
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(load("[metrics]\naddress = \"localhost:1\"\n"),
              HasStatus(kBad, "toml:3:11: \"localhost:1\" is no address"));
  EXPECT_OK(load("[metrics]\naddress = \"\"\n"));
  EXPECT_THAT(load("[streaming]\naddress = \"\"\n"),
              HasStatus(kBad, "toml:3:11: \"\" is no address"));
  EXPECT_OK(load("[streaming]\naddress = \"[::1]:0\"\n"));
  EXPECT_THAT(load("[streaming]\ntls_key = \"/k\"\n"),
              HasStatus(kBad, "both or neither"));
  EXPECT_THAT(load("[streaming]\ntls_client_ca = \"/k\"\n"),
              HasStatus(kBad, "tls_client_ca needs"));
  EXPECT_OK(
      load("[streaming]\ntls_key = \"/k\"\ntls_certificate = \"/c\"\n"
           "tls_client_ca = \"/a\"\n"));
  EXPECT_THAT(load("[passthrough]\nsocket = \"/run/serai/seraid.sock\"\n"),
              HasStatus(kBad, "passthrough.socket is seraid's own"));
}

}  // namespace
}  // namespace serai::cri
