// SPDX-License-Identifier: Apache-2.0
// The shim's own command line.
#include "shim/options.h"

#include <string>

#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(OptionsTest, TakesWhatContainerdGives) {
  ASSERT_OK_AND_ASSIGN(
      const Options options,
      ParseOptions({"-namespace", "k8s.io", "-address", "/run/c.sock",
                    "-publish-binary", "/usr/bin/containerd", "-id", "abc-1",
                    "-debug", "--bundle=/b", "start"}));
  EXPECT_EQ(options.namespace_name, "k8s.io");
  EXPECT_EQ(options.id, "abc-1");
  EXPECT_EQ(options.bundle, "/b");
  EXPECT_EQ(options.address, "/run/c.sock");
  EXPECT_EQ(options.command, Command::kStart);
  ASSERT_OK_AND_ASSIGN(const Options other,
                       ParseOptions({"-namespace", "n", "-address", "", "-id",
                                     "a", "-debug=true", "delete"}));
  EXPECT_EQ(other.command, Command::kDelete);
  EXPECT_EQ(other.address, "");
}

TEST(OptionsTest, QuestionsNeedNothingElse) {
  for (const std::string flag : {"-v", "--version", "-v=true"}) {
    ASSERT_OK_AND_ASSIGN(const Options options, ParseOptions({flag}));
    EXPECT_EQ(options.command, Command::kVersion);
  }
  ASSERT_OK_AND_ASSIGN(const Options options, ParseOptions({"-info"}));
  EXPECT_EQ(options.command, Command::kInfo);
  EXPECT_THAT(ParseOptions({"-info=false"}), HasStatus(kInvalid, "command"));
}

TEST(OptionsTest, RefusesWhatItCannotUse) {
  EXPECT_THAT(ParseOptions({}), HasStatus(kInvalid, "command"));
  EXPECT_THAT(ParseOptions({"-id", "a", "-namespace", "n", "run"}),
              HasStatus(kInvalid, "\"run\""));
  EXPECT_THAT(ParseOptions({"start", "more"}), HasStatus(kInvalid, "more"));
  EXPECT_THAT(ParseOptions({"start", "-id"}), HasStatus(kInvalid, "a value"));
  EXPECT_THAT(ParseOptions({"-x", "start"}), HasStatus(kInvalid, "-x"));
  EXPECT_THAT(ParseOptions({"-", "start"}), HasStatus(kInvalid, "flag -"));
  for (const std::string id : {"", "..", "a/b", "-a", "a b", "a\n"}) {
    EXPECT_THAT(ParseOptions({"-namespace", "n", "-id", id, "start"}),
                HasStatus(kInvalid, "-id"));
  }
}

}  // namespace
}  // namespace serai::shim
