// SPDX-License-Identifier: Apache-2.0
#include "cni/config.h"

#include "cni/json.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cni {
namespace {

using ::nlohmann::json;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ParseNetworkConfigTest, ReadsAListOfPlugins) {
  ASSERT_OK_AND_ASSIGN(const NetworkConfig config, ParseNetworkConfig(R"({
    "cniVersion": "1.0.0", "name": "pods", "disableCheck": true,
    "plugins": [
      {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}},
      {"type": "portmap", "capabilities": {"portMappings": true}}]})"));
  EXPECT_EQ(config.name, "pods");
  EXPECT_EQ(config.version(), "1.0.0");
  EXPECT_TRUE(config.disable_check);
  ASSERT_EQ(config.plugins.size(), 2U);
  EXPECT_EQ(config.plugins[0].type, "bridge");
  EXPECT_FALSE(config.plugins[0].wants_port_mappings);
  EXPECT_EQ(config.plugins[1].type, "portmap");
  EXPECT_TRUE(config.plugins[1].wants_port_mappings);
}

TEST(ParseNetworkConfigTest, ReadsASinglePlugin) {
  ASSERT_OK_AND_ASSIGN(
      const NetworkConfig config,
      ParseNetworkConfig(
          R"({"cniVersion": "0.3.1", "name": "one", "type": "ptp"})"));
  ASSERT_EQ(config.plugins.size(), 1U);
  EXPECT_EQ(config.plugins[0].type, "ptp");
}

TEST(ParseNetworkConfigTest, TakesTheNewestVersionThatBothKnow) {
  ASSERT_OK_AND_ASSIGN(
      const NetworkConfig config,
      ParseNetworkConfig(
          R"({"cniVersion": "0.4.0", "cniVersions": ["1.0.0", "9.0.0"],
              "name": "n", "type": "t"})"));
  EXPECT_THAT(config.versions, ElementsAre("1.0.0", "0.4.0"));
}

TEST(ParseNetworkConfigTest, RefusesWhatItDoesNotUnderstand) {
  const struct {
    const char* text;
    const char* reason;
  } kCases[] = {
      {"", "line 1, column 1: not JSON"},
      {"{\n  \"name\": x}", "line 2, column 11: not JSON"},
      {"[]", "not an object"},
      {R"({"name": "n", "type": "t"})", "\"cniVersion\" is missing"},
      {R"({"cniVersion": "0.2.0", "name": "n", "type": "t"})",
       "cniVersion 0.2.0 is not supported"},
      {R"({"cniVersion": 1, "name": "n", "type": "t"})", "not a string"},
      {R"({"cniVersion": "1.0.0", "type": "t"})", "no network name"},
      {R"({"cniVersion": "1.0.0", "name": "../n", "type": "t"})",
       "no network name"},
      {R"({"cniVersion": "1.0.0", "name": "n"})", "no file name"},
      {R"({"cniVersion": "1.0.0", "name": "n", "type": "../../bin/sh"})",
       "no file name"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": []})", "a list of"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": {}})", "a list of"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "a"}, 3]})",
       "plugin 2: not an object"},
      {R"({"cniVersion": "1.0.0", "name": "n", "type": "t",
           "disableCheck": "maybe"})",
       "disableCheck"},
  };
  for (const auto& test : kCases) {
    EXPECT_THAT(ParseNetworkConfig(test.text), HasStatus(kInvalid, test.reason))
        << test.text;
  }
}

TEST(ParseNetworkConfigTest, BoundsSizeAndDepth) {
  constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
  EXPECT_THAT(ParseNetworkConfig(std::string(2 << 20, ' ')),
              HasStatus(kExhausted, "longer than"));
  EXPECT_THAT(ParseNetworkConfig(std::string(1000000, '[')),
              HasStatus(kExhausted, "nested deeper"));
}

TEST(ToJsonTest, ReadsBackAsTheSameConfiguration) {
  ASSERT_OK_AND_ASSIGN(const NetworkConfig config, ParseNetworkConfig(R"({
    "cniVersion": "0.4.0", "cniVersions": ["1.0.0"], "name": "n",
    "plugins": [{"type": "a", "k": [1, {"x": 2.5}]}]})"));
  ASSERT_OK_AND_ASSIGN(const NetworkConfig again,
                       NetworkConfigFromJson(ToJson(config)));
  EXPECT_EQ(again.name, config.name);
  EXPECT_THAT(again.versions, ElementsAre("1.0.0"));
  EXPECT_EQ(again.plugins[0].json, config.plugins[0].json);
}

TEST(PluginInputTest, HasTheListsNameAndVersionAndThePreviousResult) {
  ASSERT_OK_AND_ASSIGN(const NetworkConfig config, ParseNetworkConfig(R"({
    "cniVersion": "1.0.0", "name": "pods", "plugins": [
      {"type": "a", "name": "other", "cniVersion": "0.3.0", "mine": 1}]})"));
  EXPECT_EQ(PluginInput(config, 0, {}, json()),
            json::parse(R"({"type": "a", "name": "pods", "mine": 1,
                            "cniVersion": "1.0.0"})"));
  EXPECT_EQ(PluginInput(config, 0, {}, json{{"ips", 1}})["prevResult"],
            json({{"ips", 1}}));
}

TEST(PluginInputTest, PortMappingsAreForThosePluginsThatDeclareThem) {
  ASSERT_OK_AND_ASSIGN(const NetworkConfig config, ParseNetworkConfig(R"({
    "cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "a"},
      {"type": "b", "capabilities": {"portMappings": true}},
      {"type": "c", "capabilities": {"portMappings": false}}]})"));
  const std::vector<PortMapping> mappings = {
      {8080, 80, "tcp", ""}, {0, 81, "tcp", ""}, {53, 53, "udp", "127.0.0.1"}};
  EXPECT_FALSE(
      PluginInput(config, 0, mappings, json()).contains("runtimeConfig"));
  EXPECT_EQ(PluginInput(config, 1, mappings, json())["runtimeConfig"],
            json::parse(R"({"portMappings": [
              {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
              {"hostPort": 53, "containerPort": 53, "protocol": "udp",
               "hostIP": "127.0.0.1"}]})"));
  EXPECT_FALSE(
      PluginInput(config, 2, mappings, json()).contains("runtimeConfig"));
  EXPECT_FALSE(PluginInput(config, 1, {}, json()).contains("runtimeConfig"));
}

TEST(FindConfigFileTest, TakesTheFirstOfTheKnownKinds) {
  const TempDir dir;
  EXPECT_THAT(FindConfigFile(dir.path()),
              HasStatus(absl::StatusCode::kNotFound, dir.path()));
  EXPECT_THAT(FindConfigFile(dir / "missing"),
              HasStatus(absl::StatusCode::kNotFound, "no network conf"));
  ASSERT_OK(WriteFileAtomic(dir / "00-note.txt", ""));
  ASSERT_OK(WriteFileAtomic(dir / "30-c.json", ""));
  EXPECT_EQ(*FindConfigFile(dir.path()), dir / "30-c.json");
  ASSERT_OK(WriteFileAtomic(dir / "20-b.conf", ""));
  EXPECT_EQ(*FindConfigFile(dir.path()), dir / "20-b.conf");
  ASSERT_OK(WriteFileAtomic(dir / "10-a.conflist", ""));
  EXPECT_EQ(*FindConfigFile(dir.path()), dir / "10-a.conflist");
}

TEST(PrintableTest, MakesOneShortLine) {
  EXPECT_EQ(Printable("a\n\n\tb\x01\n"), "a b");
  EXPECT_LT(Printable(std::string(100000, 'x')).size(), 1100U);
}

}  // namespace
}  // namespace serai::cni
