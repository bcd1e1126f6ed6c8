// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/registry/auth_challenge.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(AuthChallengeTest, ReadsBearerWithItsParameters) {
  ASSERT_OK_AND_ASSIGN(
      const auto challenges,
      ParseWwwAuthenticate(
          "Bearer realm=\"https://auth.example/token\","
          "service=\"reg\" , Scope=\"repository:a:pull,push\""));
  ASSERT_THAT(challenges, SizeIs(1));
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_THAT(challenges[0].params,
              UnorderedElementsAre(Pair("realm", "https://auth.example/token"),
                                   Pair("service", "reg"),
                                   Pair("scope", "repository:a:pull,push")));
}

TEST(AuthChallengeTest, TellsSeveralChallengesOfOneHeaderApart) {
  ASSERT_OK_AND_ASSIGN(
      const auto challenges,
      ParseWwwAuthenticate("Negotiate, Basic realm=\"a, b=c\", NTLM TlRM==, "
                           "Bearer realm=x,service = y"));
  ASSERT_THAT(challenges, SizeIs(4));
  EXPECT_EQ(challenges[0].scheme, "negotiate");
  EXPECT_EQ(challenges[1].params.at("realm"), "a, b=c");
  EXPECT_EQ(challenges[2].scheme, "ntlm");
  EXPECT_EQ(challenges[3].params.at("service"), "y");
}

TEST(AuthChallengeTest, UnescapesQuotedText) {
  ASSERT_OK_AND_ASSIGN(const auto challenges,
                       ParseWwwAuthenticate(R"(Basic realm="a \"b\" \\c")"));
  EXPECT_EQ(challenges[0].params.at("realm"), R"(a "b" \c)");
}

TEST(AuthChallengeTest, FirstOfTwoEqualParametersCounts) {
  ASSERT_OK_AND_ASSIGN(const auto challenges,
                       ParseWwwAuthenticate("Bearer realm=a, realm=b"));
  EXPECT_EQ(challenges[0].params.at("realm"), "a");
}

TEST(AuthChallengeTest, EmptyValueHasNoChallenge) {
  ASSERT_OK_AND_ASSIGN(const auto challenges, ParseWwwAuthenticate(" , "));
  EXPECT_THAT(challenges, SizeIs(0));
}

TEST(AuthChallengeTest, RefusesWhatIsNotInTheGrammar) {
  EXPECT_THAT(ParseWwwAuthenticate("Bearer realm=\"open"),
              HasStatus(kInvalid, "not closed"));
  EXPECT_THAT(ParseWwwAuthenticate("Bearer realm=\"x\\"),
              HasStatus(kInvalid, "not closed"));
  EXPECT_THAT(ParseWwwAuthenticate("=x"), HasStatus(kInvalid, "no scheme"));
  EXPECT_THAT(ParseWwwAuthenticate("Bearer(x)"),
              HasStatus(kInvalid, "scheme runs on"));
  EXPECT_THAT(ParseWwwAuthenticate("Bearer realm=\"a\x01\""),
              HasStatus(kInvalid, "control character"));
  EXPECT_THAT(ParseWwwAuthenticate("Bearer a=b, c=, d=e"),
              HasStatus(kInvalid, "without value"));
}

TEST(AuthChallengeTest, BoundsLengthAndCounts) {
  EXPECT_THAT(ParseWwwAuthenticate(std::string(8193, 'a')),
              HasStatus(kInvalid, "8 KiB"));
  std::string many;
  for (int i = 0; i < 17; ++i) absl::StrAppend(&many, "Basic,");
  EXPECT_THAT(ParseWwwAuthenticate(many),
              HasStatus(kInvalid, "many challenges"));
  std::string params = "Bearer ";
  for (int i = 0; i < 33; ++i) absl::StrAppend(&params, "p", i, "=v,");
  EXPECT_THAT(ParseWwwAuthenticate(params),
              HasStatus(kInvalid, "many parameters"));
}

}  // namespace
}  // namespace serai::oci
