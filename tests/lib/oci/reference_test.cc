// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/reference.h"

#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using testing::HasStatus;

const std::string& SomeDigest() {
  static const std::string& digest =
      *new std::string("sha256:" + std::string(64, 'a'));
  return digest;
}

std::string Normalized(const std::string& text) {
  const absl::StatusOr<Reference> reference = Reference::Parse(text);
  return reference.ok() ? reference->ToString()
                        : std::string(reference.status().message());
}

TEST(ReferenceTest, CompletesShortNames) {
  EXPECT_EQ(Normalized("web"), "docker.io/library/web:latest");
  EXPECT_EQ(Normalized("web:1"), "docker.io/library/web:1");
  EXPECT_EQ(Normalized("me/web"), "docker.io/me/web:latest");
  EXPECT_EQ(Normalized("docker.io/web"), "docker.io/library/web:latest");
  EXPECT_EQ(Normalized("index.docker.io/web"), "docker.io/library/web:latest");
}

TEST(ReferenceTest, TellsARegistryFromAPath) {
  EXPECT_EQ(Normalized("localhost/x"), "localhost/x:latest");
  EXPECT_EQ(Normalized("localhost:5000/x:1"), "localhost:5000/x:1");
  EXPECT_EQ(Normalized("ghcr.io/a/b/c"), "ghcr.io/a/b/c:latest");
  EXPECT_EQ(Normalized("HOST/x"), "HOST/x:latest");
  EXPECT_EQ(Normalized("[::1]:5000/x"), "[::1]:5000/x:latest");
  EXPECT_EQ(Normalized("[fe80::2]/x"), "[fe80::2]/x:latest");
}

TEST(ReferenceTest, OneCanonicalNameForAllSpellings) {
  for (const char* name :
       {"registry.example/a", "Registry.EXAMPLE/a", "registry.example:443/a",
        "registry.example:00443/a"}) {
    EXPECT_EQ(CanonicalName(name), "registry.example/a");
  }
  for (const char* name :
       {"docker.io/library/a", "index.docker.io/a", "registry-1.docker.io/a",
        "Registry-1.Docker.io:443/library/a", "registry.hub.docker.com/a"}) {
    EXPECT_EQ(CanonicalName(name), "docker.io/library/a");
  }
  EXPECT_EQ(CanonicalName("registry-1.docker.io/a/b"), "docker.io/a/b");
  EXPECT_EQ(CanonicalName("r.example:05000/a"), "r.example:5000/a");
  EXPECT_EQ(CanonicalName("[::1]:443/a"), "[::1]/a");
  EXPECT_EQ(CanonicalName("[FE80::443]/a"), "[fe80::443]/a");
  // Patterns.
  EXPECT_EQ(CanonicalName("*"), "*");
  EXPECT_EQ(CanonicalName("docker.io/*"), "docker.io/*");
  EXPECT_EQ(CanonicalName("R.example:*/a"), "r.example:*/a");
}

TEST(ReferenceTest, KeepsTagAndDigest) {
  EXPECT_EQ(Normalized("host.tld/x@" + SomeDigest()),
            "host.tld/x@" + SomeDigest());
  ASSERT_OK_AND_ASSIGN(const Reference both,
                       Reference::Parse("x:2@" + SomeDigest()));
  EXPECT_EQ(both.tag(), "2");
  EXPECT_EQ(both.digest()->ToString(), SomeDigest());
  EXPECT_EQ(both.Tagged(), "docker.io/library/x:2");
  EXPECT_EQ(both.ToString(), "docker.io/library/x:2@" + SomeDigest());
  ASSERT_OK_AND_ASSIGN(const Reference digest_only,
                       Reference::Parse("x@" + SomeDigest()));
  EXPECT_EQ(digest_only.tag(), "");
  EXPECT_EQ(digest_only.Tagged(), "");
}

TEST(ReferenceTest, FamiliarFormReadsBackToTheSame) {
  for (const std::string& text :
       {std::string("web"), std::string("me/web:1"),
        std::string("docker.io/library/a/b"), std::string("host.tld:1/x:y"),
        std::string("docker.io/localhost/x"), "x@" + SomeDigest()}) {
    ASSERT_OK_AND_ASSIGN(const Reference reference, Reference::Parse(text));
    ASSERT_OK_AND_ASSIGN(const Reference again,
                         Reference::Parse(reference.Familiar()));
    EXPECT_EQ(again, reference) << reference.Familiar();
  }
  ASSERT_OK_AND_ASSIGN(const Reference web, Reference::Parse("web"));
  EXPECT_EQ(web.Familiar(), "web:latest");
}

TEST(ReferenceTest, AcceptsWhatTheGrammarAllows) {
  EXPECT_EQ(Normalized("a_b/c__d/e---f.g"),
            "docker.io/a_b/c__d/e---f.g:latest");
  EXPECT_EQ(Normalized("x:_A.b-C"), "docker.io/library/x:_A.b-C");
  EXPECT_EQ(Normalized("x:" + std::string(128, 't')),
            "docker.io/library/x:" + std::string(128, 't'));
}

TEST(ReferenceTest, RefusesTheRestNamingIt) {
  const std::string image_id(64, 'b');
  for (const std::string& bad : {std::string(""),
                                 std::string(":1"),
                                 std::string("Web"),
                                 std::string("web:"),
                                 std::string("web:-1"),
                                 std::string("a//b"),
                                 std::string("/a"),
                                 std::string("a/"),
                                 std::string("../a"),
                                 std::string("a/../b"),
                                 std::string("a___b"),
                                 std::string("a..b"),
                                 std::string("-a"),
                                 std::string("a-"),
                                 std::string("a b"),
                                 std::string("a\n"),
                                 std::string("host:port/x"),
                                 std::string("host:999999/x"),
                                 std::string("-h.tld/x"),
                                 std::string("[::1/x"),
                                 std::string("[]/x"),
                                 std::string("x@sha256:1"),
                                 "x@" + SomeDigest() + "@" + SomeDigest(),
                                 std::string("https://h/x"),
                                 "x:" + std::string(129, 't'),
                                 "h.tld/" + std::string(250, 'a'),
                                 image_id,
                                 "sha256:" + image_id}) {
    EXPECT_THAT(
        Reference::Parse(bad),
        HasStatus(absl::StatusCode::kInvalidArgument, "image reference \""))
        << bad;
  }
}

}  // namespace
}  // namespace serai::oci
