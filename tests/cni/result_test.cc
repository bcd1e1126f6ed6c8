// SPDX-License-Identifier: Apache-2.0
#include "cni/result.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace serai::cni {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<Result> Read(absl::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json result, ParseResult(text));
  return ReadResult(result, "eth0");
}

TEST(ResultTest, ReadsWhatTheBridgePluginSays) {
  ASSERT_OK_AND_ASSIGN(const Result result, Read(R"({
    "cniVersion": "1.0.0",
    "interfaces": [
      {"name": "cni0", "mac": "aa:aa:aa:aa:aa:aa"},
      {"name": "veth1", "mac": "bb:bb:bb:bb:bb:bb"},
      {"name": "eth0", "mac": "CC:cc:cc:cc:cc:01", "sandbox": "/run/netns/x"}],
    "ips": [
      {"interface": 2, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
      {"interface": 2, "address": "FD00:0::5/64", "gateway": "fd00::1"},
      {"interface": 0, "address": "10.9.9.9/24"}],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1"}],
    "dns": {"nameservers": ["10.1.0.1"], "domain": "d", "search": ["a", "b"],
            "options": ["ndots:5"]}})"));
  ASSERT_EQ(result.ips.size(), 2U);
  EXPECT_EQ(result.ips[0].address, "10.1.0.5");
  EXPECT_EQ(result.ips[0].prefix_length, 16);
  EXPECT_EQ(result.ips[0].gateway, "10.1.0.1");
  EXPECT_FALSE(result.ips[0].is_ipv6);
  EXPECT_EQ(result.ips[1].address, "fd00::5");
  EXPECT_EQ(result.ips[1].prefix_length, 64);
  EXPECT_TRUE(result.ips[1].is_ipv6);
  ASSERT_EQ(result.routes.size(), 2U);
  EXPECT_EQ(result.routes[0].destination, "0.0.0.0");
  EXPECT_EQ(result.routes[0].gateway, "");
  EXPECT_EQ(result.routes[1].gateway, "fd00::1");
  EXPECT_EQ(result.mac, "cc:cc:cc:cc:cc:01");
  EXPECT_THAT(result.dns.nameservers, ElementsAre("10.1.0.1"));
  EXPECT_THAT(result.dns.search, ElementsAre("a", "b"));
  EXPECT_THAT(result.json, HasSubstr("veth1"));
}

TEST(ResultTest, AnAddressWithoutAnInterfaceIsThePods) {
  ASSERT_OK_AND_ASSIGN(const Result result, Read(R"({"cniVersion": "0.3.1",
               "ips": [{"version": "4", "address": "10.0.0.2/32",
                        "gateway": "169.254.1.1"}]})"));
  ASSERT_EQ(result.ips.size(), 1U);
  EXPECT_EQ(result.ips[0].prefix_length, 32);
  EXPECT_EQ(result.ips[0].gateway, "169.254.1.1");
  EXPECT_EQ(result.mac, "");
}

TEST(ResultTest, RefusesNonsense) {
  const struct {
    const char* text;
    const char* reason;
  } kCases[] = {
      {"", "nothing"},
      {" \n", "nothing"},
      {"hello", "not JSON"},
      {"[]", "not an object"},
      {R"({"cniVersion": "0.1.0"})", "0.1.0 is not supported"},
      {R"({"cniVersion": {}})", "not a string"},
      {"{}", "no address for eth0"},
      {R"({"ips": []})", "no address for eth0"},
      {R"({"ips": {}})", "\"ips\" is not a list"},
      {R"({"ips": ["10.0.0.1/8"]})", "no object"},
      {R"({"ips": [{"address": "10.0.0.1"}]})", "prefix length"},
      {R"({"ips": [{"address": "10.0.0.1/"}]})", "prefix length"},
      {R"({"ips": [{"address": "10.0.0.1/33"}]})", "prefix length"},
      {R"({"ips": [{"address": "10.0.0.1/-1"}]})", "prefix length"},
      {R"({"ips": [{"address": "10.0.0.1/+8"}]})", "prefix length"},
      {R"({"ips": [{"address": "10.0.0.1/99999999999"}]})", "prefix length"},
      {R"({"ips": [{"address": "10.0.0.256/8"}]})", "no IP address"},
      {R"({"ips": [{"address": "10.0.0.1 --x=y/8"}]})", "no IP address"},
      {R"({"ips": [{"address": "fe80::1%eth0/64"}]})", "no IP address"},
      {R"({"ips": [{"address": 5}]})", "not a string"},
      {R"({"ips": [{"address": "1.2.3.4/8", "gateway": "::1"}]})",
       "another family"},
      {R"({"ips": [{"address": "1.2.3.4/8", "gateway": "gw"}]})",
       "no IP address"},
      {R"({"ips": [{"address": "1.2.3.4/8", "interface": 0}]})", "index"},
      {R"({"ips": [{"address": "1.2.3.4/8", "interface": -1}]})", "index"},
      {R"({"ips": [{"address": "1.2.3.4/8", "interface": 1e300}]})", "index"},
      {R"({"ips": [{"address": "1.2.3.4/8"}], "routes": [{"dst": "x"}]})",
       "routes"},
      {R"({"ips": [{"address": "1.2.3.4/8"}], "dns": []})", "dns"},
      {R"({"ips": [{"address": "1.2.3.4/8"}],
           "dns": {"nameservers": ["ns.example"]}})",
       "no IP address"},
      {R"({"ips": [{"address": "1.2.3.4/8"}], "dns": {"search": ["a\nb"]}})",
       "search"},
      {R"({"ips": [{"address": "1.2.3.4/8"}],
           "interfaces": [{"name": "eth0", "mac": "aa:bb"}]})",
       "hardware address"},
      {R"({"ips": [{"address": "1.2.3.4/8"}],
           "interfaces": [{"name": "eth0", "mac": "aa-bb-cc-dd-ee-ff"}]})",
       "hardware address"},
  };
  for (const auto& test : kCases) {
    EXPECT_THAT(Read(test.text), HasStatus(kInvalid, test.reason)) << test.text;
  }
}

TEST(ResultTest, BoundsWhatItTakesIn) {
  EXPECT_THAT(Read(std::string(1000000, '[')),
              HasStatus(absl::StatusCode::kResourceExhausted, "deeper"));
  std::string many = R"({"ips": [{"address": "10.0.0.1/8"})";
  for (int i = 0; i < 2000; ++i) many += R"(,{"address": "10.0.0.1/8"})";
  EXPECT_THAT(Read(many + "]}"), HasStatus(kInvalid, "at most"));
  EXPECT_THAT(Read(absl::StrCat(R"({"ips": [{"address": ")",
                                std::string(5000, '1'), R"("}]})")),
              HasStatus(kInvalid, "255"));
}

TEST(PluginErrorTest, IsReadAndMadePrintable) {
  const auto error = ParsePluginError(
      R"({"cniVersion": "1.0.0", "code": 11, "msg": "later\nplease",
          "details": "busy"})");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, 11);
  EXPECT_EQ(error->message, "later please; busy");
}

TEST(PluginErrorTest, OtherThingsAreNoErrorObject) {
  for (const char* text :
       {"", "x", "[]", "{}", R"({"code": 1})", R"({"code": "1", "msg": "m"})",
        R"({"code": 1, "msg": 2})"}) {
    EXPECT_FALSE(ParsePluginError(text).has_value()) << text;
  }
  const auto huge = ParsePluginError(R"({"code": 1e999, "msg": "m"})");
  EXPECT_FALSE(huge.has_value());
}

TEST(VersionsTest, AreAListOfStrings) {
  EXPECT_THAT(*ParseVersions(R"({"supportedVersions": ["0.4.0", "1.0.0"]})"),
              ElementsAre("0.4.0", "1.0.0"));
  EXPECT_THAT(ParseVersions("{}"), HasStatus(kInvalid, "supportedVersions"));
  EXPECT_THAT(ParseVersions(R"({"supportedVersions": [1]})"),
              HasStatus(kInvalid, "supportedVersions"));
}

}  // namespace
}  // namespace serai::cni
