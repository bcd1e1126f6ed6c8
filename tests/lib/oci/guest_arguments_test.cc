// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/guest_arguments.h"

#include "tests/support/status_matchers.h"

namespace serai::oci {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;

TEST(EscapeArgumentTest, TheGuestsParserGetsTheArgumentBack) {
  EXPECT_EQ(EscapeArgument("--ipv4=10.0.0.2/24"), "--ipv4=10.0.0.2/24");
  EXPECT_EQ(EscapeArgument("a b"), "a\\ b");
  EXPECT_EQ(EscapeArgument(R"(say "x\y")"), R"(say\ \"x\\y\")");
  EXPECT_EQ(EscapeArgument(""), "\"\"");
}

TEST(EscapeArgumentTest, AllTogetherFitAGuestsLine) {
  ASSERT_OK_AND_ASSIGN(const auto escaped, EscapeArguments({"a b", "c"}));
  EXPECT_THAT(escaped, ElementsAre("a\\ b", "c"));
  EXPECT_OK(EscapeArguments({std::string(8191, 'x')}));
  EXPECT_THAT(EscapeArguments({std::string(8190, 'x'), "y"}),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "are 8192 bytes long"));
  // A space costs two.
  EXPECT_FALSE(EscapeArguments({std::string(8191, ' ')}).ok());
}

}  // namespace
}  // namespace serai::oci
