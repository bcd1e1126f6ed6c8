// SPDX-License-Identifier: Apache-2.0
#include "cli/expand.h"

#include "gtest/gtest.h"

namespace serai::cli {
namespace {

TEST(ExpandTest, ReplacesWhatIsKnown) {
  const std::map<std::string, std::string> variables = {{"A", "1"},
                                                        {"B", "$(A)"}};
  EXPECT_EQ(Expand("x$(A)y$(A)", variables), "x1y1");
  EXPECT_EQ(Expand("$(B)", variables), "$(A)");
  EXPECT_EQ(Expand("$(NONE) $A ${A}", variables), "$(NONE) $A ${A}");
  EXPECT_EQ(Expand("$$(A) $$$(A)", variables), "$(A) $1");
  EXPECT_EQ(Expand("$(A", variables), "$(A");
  EXPECT_EQ(Expand("$", variables), "$");
  EXPECT_EQ(Expand("", variables), "");
}

}  // namespace
}  // namespace serai::cli
