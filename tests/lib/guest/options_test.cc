// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/options.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/support/status_matchers.h"

namespace serai::guest {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// As cmdliner lays out the page of a MirageOS unikernel.
constexpr char kPage[] =
    R"(            |      ___|
  __|  _ \  |  _ \ __ \
\__ \ (   | | (  ) |  ) |
Solo5: Bindings version v0.9.1
NAME
       network

SYNOPSIS
       network [OPTION]...

DESCRIPTION
       What it does:
       - it listens

NETWORK OPTIONS
       --accept-router-advertisements=BOOL (absent=true)
           Accept router advertisements for the unikernel.

       --ipv4=PREFIX (absent=10.0.0.2/24)
           The network of the unikernel specified as an IP address and
           netmask, e.g. 192.168.0.1/16 . Use
           --other=X where that does not do.

           --nothing is no option either.

       --ipv4-gateway=IP
           The gateway of the unikernel.

       -n NAMESERVER, --nameserver=NAMESERVER (absent=tls:1.2.3.4, or
       MIRAGE_N env)
           A name server.

OPTIONS
       -l LEVEL, --logs=LEVEL (absent MIRAGE_LOGS env)
           Be more or less verbose.

       --major-ratio=CUSTOM MAJOR, RATIO
       --help[=FMT] (default=auto)
           Show this help in format FMT.

EXIT STATUS
       network exits with:

       0   on success.
)";

TEST(ParseHelpTest, FindsTheOptionsOfAPageAndNothingElse) {
  EXPECT_THAT(ParseHelp(kPage).options(),
              ElementsAre(ElementsAre("--accept-router-advertisements"),
                          ElementsAre("--ipv4"), ElementsAre("--ipv4-gateway"),
                          ElementsAre("-n", "--nameserver"),
                          ElementsAre("-l", "--logs"),
                          ElementsAre("--major-ratio"), ElementsAre("--help")));
}

TEST(ParseHelpTest, ReadsDashesAsGroffWantsThem) {
  const std::string page = absl::StrReplaceAll(kPage, {{"--", "\\-\\-"}});
  EXPECT_TRUE(ParseHelp(page).Has("--ipv4-gateway"));
}

TEST(ParseHelpTest, WhatListsNoOptionIsNoAnswer) {
  for (const char* text :
       {"", "\n", "-", "--", "---x", "-xy", "       -\n", "-- -- --", "--=x",
        "text\n  x\n    --text", "- x"}) {
    EXPECT_FALSE(ParseHelp(text).known()) << text;
  }
  EXPECT_FALSE(ParseHelp("hello\nargument 1: --help=plain\n").known());
  EXPECT_FALSE(ParseHelp("").known());
  EXPECT_FALSE(ParseHelp("unknown argument '--help'\n---x\n").known());
}

TEST(ParseHelpTest, IsBounded) {
  std::string page = "OPTIONS\n";
  for (size_t i = 0; i < 2 * kMaxOptions; ++i) {
    absl::StrAppend(&page, "       --o", i, "\n");
  }
  EXPECT_THAT(ParseHelp(page).options(), SizeIs(kMaxOptions));
  std::string names = "--a";
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&names, ", --a", i);
  EXPECT_THAT(ParseHelp(names).options()[0], SizeIs(16));
  EXPECT_FALSE(ParseHelp(absl::StrCat("--", std::string(65, 'x'))).known());
  EXPECT_FALSE(
      ParseHelp(absl::StrCat(std::string(kMaxHelpBytes, '\n'), "--x")).known());
}

TEST(GuestOptionsTest, AnOptionIsGivenInAnyForm) {
  const GuestOptions options = ParseHelp(kPage);
  for (const char* arg : {"--ipv4", "--ipv4=1.2.3.4/8"}) {
    EXPECT_TRUE(options.IsGiven("--ipv4", {"x", arg})) << arg;
    EXPECT_FALSE(options.IsGiven("--ipv4-gateway", {arg})) << arg;
  }
  // By its beginning, where that begins no other.
  EXPECT_TRUE(options.IsGiven("--ipv4-gateway", {"--ipv4-g=1.2.3.4"}));
  EXPECT_TRUE(options.IsGiven("--ipv4-gateway", {"--ipv4-", "1.2.3.4"}));
  EXPECT_FALSE(options.IsGiven("--ipv4-gateway", {"--ip=1.2.3.4"}));
  EXPECT_FALSE(options.IsGiven("--ipv4", {"--ip=1.2.3.4"}));
  // By its other name.
  for (const char* arg : {"-n", "-ntcp:1.1.1.1", "--name=x", "--nameserver"}) {
    EXPECT_TRUE(options.IsGiven("--nameserver", {arg})) << arg;
  }
  EXPECT_FALSE(options.IsGiven("--nameserver", {"-l", "n", "n", "-", ""}));
  EXPECT_FALSE(options.IsGiven("--ipv4", {"--", "--ipv4=1.2.3.4/8"}));
}

TEST(GuestOptionsTest, OfUnknownOnesTheWholeNameCounts) {
  const GuestOptions unknown;
  EXPECT_FALSE(unknown.known());
  EXPECT_TRUE(unknown.IsGiven("--ipv4", {"--ipv4=x"}));
  EXPECT_FALSE(unknown.IsGiven("--ipv4-gateway", {"--ipv4-g=x"}));
}

TEST(GuestOptionsTest, AreKeptAsJson) {
  for (const GuestOptions& options : {GuestOptions(), ParseHelp(kPage)}) {
    ASSERT_OK_AND_ASSIGN(const GuestOptions again,
                         OptionsFromJson(ToJson(options)));
    EXPECT_EQ(again, options);
  }
  for (const char* bad :
       {"", "[]", "{}", R"({"version":2,"known":true,"options":[]})",
        R"({"version":1,"known":true})",
        R"({"version":1,"known":true,"options":[[]]})",
        R"({"version":1,"known":true,"options":[["ipv4"]]})",
        R"({"version":1,"known":true,"options":[["--a b"]]})",
        R"({"version":1,"known":true,"options":[[1]]})"}) {
    EXPECT_THAT(OptionsFromJson(bad),
                HasStatus(absl::StatusCode::kInvalidArgument, ""))
        << bad;
  }
}

}  // namespace
}  // namespace serai::guest
