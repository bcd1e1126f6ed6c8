// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/hosts.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(HostsTest, LoopbackIsPlainHttpOthersAreNot) {
  EXPECT_EQ(DefaultHost("localhost:5000").url, "http://localhost:5000/v2");
  EXPECT_EQ(DefaultHost("127.0.0.1:5000").url, "http://127.0.0.1:5000/v2");
  EXPECT_EQ(DefaultHost("[::1]:5000").url, "http://[::1]:5000/v2");
  EXPECT_EQ(DefaultHost("r.example:5000").url, "https://r.example:5000/v2");
  EXPECT_EQ(DefaultHost("docker.io").url, "https://registry-1.docker.io/v2");
}

TEST(HostsTest, MirrorsComeInTheFilesOrderAndTheServerLast) {
  ASSERT_OK_AND_ASSIGN(const auto hosts, ParseHostsToml(R"(
server = "https://r.example"
[host."https://z.example"]
  capabilities = ["pull", "resolve"]
  ca = "z.pem"
[host."http://a.example:80/cache/"]
  skip_verify = true
  capabilities = ["pull"]
[host."https://m.example/api/r"]
  override_path = true
  client = [["c.pem", "/k.pem"]]
  ca = ["1.pem", "/2.pem"]
  [host."https://m.example/api/r".header]
    x-one = "1"
    x-two = ["2", "3"]
)",
                                                        "r.example", "/d"));
  ASSERT_THAT(hosts, SizeIs(4));
  EXPECT_EQ(hosts[0].url, "https://z.example/v2");
  EXPECT_TRUE(hosts[0].can_pull && hosts[0].can_resolve && hosts[0].mirror);
  EXPECT_FALSE(hosts[0].can_push);
  EXPECT_THAT(hosts[0].ca_files, ElementsAre("/d/z.pem"));
  EXPECT_EQ(hosts[1].url, "http://a.example:80/cache/v2");
  EXPECT_EQ(hosts[1].host, "a.example:80");
  EXPECT_TRUE(hosts[1].tls.skip_verify);
  EXPECT_FALSE(hosts[1].can_resolve);
  EXPECT_EQ(hosts[2].url, "https://m.example/api/r");
  EXPECT_EQ(hosts[2].tls.client_certificate, "/d/c.pem");
  EXPECT_EQ(hosts[2].tls.client_key, "/k.pem");
  EXPECT_THAT(hosts[2].ca_files, ElementsAre("/d/1.pem", "/2.pem"));
  EXPECT_THAT(
      hosts[2].headers,
      ElementsAre(Pair("x-one", "1"), Pair("x-two", "2"), Pair("x-two", "3")));
  EXPECT_EQ(hosts[3].url, "https://r.example/v2");
  EXPECT_FALSE(hosts[3].mirror);
}

TEST(HostsTest, KeysAtTheTopAreTheServers) {
  ASSERT_OK_AND_ASSIGN(
      const auto hosts,
      ParseHostsToml("skip_verify = true\ncapabilities = ['pull']", "r.example",
                     "/d"));
  ASSERT_THAT(hosts, SizeIs(1));
  EXPECT_EQ(hosts[0].url, "https://r.example/v2");
  EXPECT_TRUE(hosts[0].tls.skip_verify);
  EXPECT_FALSE(hosts[0].can_push);
}

TEST(HostsTest, DoesNotRepeatTheApiPath) {
  ASSERT_OK_AND_ASSIGN(
      const auto hosts,
      ParseHostsToml("server = 'localhost:7/v2/'", "r.example", "/d"));
  EXPECT_EQ(hosts[0].url, "http://localhost:7/v2");
}

TEST(HostsTest, SaysWhereAFileIsWrong) {
  const auto parse = [](absl::string_view text) {
    return ParseHostsToml(text, "r.example", "/d").status();
  };
  EXPECT_THAT(parse("server = "), HasStatus(kInvalid, "line 1"));
  EXPECT_THAT(parse("[(a]\nb = 1"), HasStatus(kInvalid, "line 1"));
  EXPECT_THAT(parse("[[[a]]]"), HasStatus(kInvalid, "line 1"));
  EXPECT_THAT(parse("\nserver = 1"),
              HasStatus(kInvalid, "line 2, column 10: server is no string"));
  EXPECT_THAT(parse("host = 3"), HasStatus(kInvalid, "host is no table"));
  EXPECT_THAT(parse("[host]\na = 3"),
              HasStatus(kInvalid, "a host is no table"));
  EXPECT_THAT(parse("server = 'ftp://x'"), HasStatus(kInvalid, "scheme"));
  EXPECT_THAT(parse("server = 'https://u@x'"), HasStatus(kInvalid, "user"));
  EXPECT_THAT(parse("server = 'https://x?y'"), HasStatus(kInvalid, "query"));
  EXPECT_THAT(parse("capabilities = ['pul']"), HasStatus(kInvalid, "\"pul\""));
  EXPECT_THAT(parse("skip_verify = 'yes'"), HasStatus(kInvalid, "boolean"));
  EXPECT_THAT(parse("ca = [1]"), HasStatus(kInvalid, "something but strings"));
  EXPECT_THAT(parse("client = ['a', 'b']"), HasStatus(kInvalid, "client"));
  EXPECT_THAT(parse("header = 1"), HasStatus(kInvalid, "header is no table"));
  EXPECT_THAT(parse(absl::StrCat("a = ", std::string(100000, '['))),
              HasStatus(kInvalid, "line 1"));
}

class ResolveHostsTest : public ::testing::Test {
 protected:
  void Configure(const std::string& name, absl::string_view text) {
    ASSERT_OK(MakeDirs(dir_ / name));
    ASSERT_OK(WriteFileAtomic(JoinPath(dir_ / name, "hosts.toml"), text));
  }
  TempDir dir_;
};

TEST_F(ResolveHostsTest, WithoutConfigurationIsTheDefault) {
  ASSERT_OK_AND_ASSIGN(const auto hosts, ResolveHosts("", "r.example"));
  ASSERT_THAT(hosts, SizeIs(1));
  EXPECT_EQ(hosts[0].url, "https://r.example/v2");
  EXPECT_OK(ResolveHosts(dir_.path(), "r.example"));
  EXPECT_OK(ResolveHosts(dir_ / "nothing", "r.example"));
}

TEST_F(ResolveHostsTest, TheHostsOwnFileGoesBeforeTheDefault) {
  Configure("_default", "server = 'https://default.example'");
  Configure("r.example:5000", "server = 'https://own.example'");
  EXPECT_EQ((*ResolveHosts(dir_.path(), "r.example:5000"))[0].host,
            "own.example");
  EXPECT_EQ((*ResolveHosts(dir_.path(), "other.example"))[0].host,
            "default.example");
  Configure("r.example_5000_", "server = 'https://spelled.example'");
  EXPECT_EQ((*ResolveHosts(dir_.path(), "r.example:5000"))[0].host,
            "spelled.example");
}

TEST_F(ResolveHostsTest, ReadsCertificates) {
  Configure("r.example", "ca = ['a.pem', 'b.pem']");
  EXPECT_THAT(ResolveHosts(dir_.path(), "r.example"),
              HasStatus(absl::StatusCode::kNotFound, "a.pem"));
  ASSERT_OK(WriteFileAtomic(dir_ / "r.example/a.pem", "A"));
  ASSERT_OK(WriteFileAtomic(dir_ / "r.example/b.pem", "B"));
  ASSERT_OK_AND_ASSIGN(const auto hosts,
                       ResolveHosts(dir_.path(), "r.example"));
  EXPECT_EQ(hosts[0].tls.ca_pem, "A\nB\n");
}

TEST_F(ResolveHostsTest, RefusesNamesThatArePaths) {
  EXPECT_THAT(ResolveHosts(dir_.path(), "../x"), HasStatus(kInvalid, "name"));
  EXPECT_THAT(ResolveHosts(dir_.path(), "a/b"), HasStatus(kInvalid, "name"));
  EXPECT_THAT(ResolveHosts(dir_.path(), ""), HasStatus(kInvalid, "name"));
}

TEST_F(ResolveHostsTest, ErrorNamesTheFile) {
  Configure("r.example", "server = ");
  EXPECT_THAT(ResolveHosts(dir_.path(), "r.example"),
              HasStatus(kInvalid, "r.example/hosts.toml: line 1"));
}

}  // namespace
}  // namespace serai::oci
