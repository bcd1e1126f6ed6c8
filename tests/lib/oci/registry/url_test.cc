// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/url.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(UrlTest, OriginHasThePortAlways) {
  EXPECT_EQ(*UrlOrigin("https://R.example/v2/?a=b"), "https://r.example:443");
  EXPECT_EQ(*UrlOrigin("http://[::1]:5000/"), "http://[::1]:5000");
}

TEST(UrlTest, OriginRefusesOtherSchemesAndUserInformation) {
  EXPECT_THAT(UrlOrigin("file:///etc/passwd"), HasStatus(kInvalid, "scheme"));
  EXPECT_THAT(UrlOrigin("http://a:b@host/"), HasStatus(kInvalid, "user"));
  EXPECT_THAT(UrlOrigin("://"), HasStatus(kInvalid, "not a URL"));
}

TEST(UrlTest, MessageHasNeitherQueryNorUser) {
  EXPECT_EQ(UrlForMessage("https://u:p@h:5/a/b?signature=secret#f"), "h:5/a/b");
  EXPECT_EQ(UrlForMessage("http://"), "(not a URL)");
}

TEST(UrlTest, ResolvesRelativeReferences) {
  EXPECT_EQ(*ResolveUrl("http://h:5/v2/a/?x=y", "/v2/b?c=d"),
            "http://h:5/v2/b?c=d");
  EXPECT_EQ(*ResolveUrl("http://h/v2/", "https://i/z"), "https://i/z");
}

TEST(UrlTest, LoopbackIsOnlyWhatCannotBeAnotherMachine) {
  for (const char* host : {"localhost", "localhost:5000", "127.0.0.1",
                           "127.8.9.1:1", "[::1]", "[::1]:5000"}) {
    EXPECT_TRUE(IsLoopbackHost(host)) << host;
  }
  for (const char* host :
       {"", "localhost.example", "127.0.0.1.example", "128.0.0.1", "127.0.0",
        "127.0.0.256", "127.0.0.1.2", "[::1]x", "[::2]", "127.0.0.0001"}) {
    EXPECT_FALSE(IsLoopbackHost(host)) << host;
  }
}

}  // namespace
}  // namespace serai::oci
