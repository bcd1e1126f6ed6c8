// SPDX-License-Identifier: Apache-2.0
#include "tests/support/require.h"

#include <cstdlib>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Optional;

// SERAI_REQUIRE as a test wants it, and afterwards as it was.
class RequireTest : public ::testing::Test {
 protected:
  RequireTest() {
    const char* const was = std::getenv(kName);
    if (was != nullptr) was_ = was;
  }
  ~RequireTest() override {
    if (was_.has_value()) {
      ::setenv(kName, was_->c_str(), 1);
    } else {
      ::unsetenv(kName);
    }
  }
  static void Set(const char* list) { ::setenv(kName, list, 1); }

 private:
  static constexpr char kName[] = "SERAI_REQUIRE";
  std::optional<std::string> was_;
};

TEST_F(RequireTest, KnowsTheWordsOfCi) {
  Set("root,kvm,net,vm,gdb");
  EXPECT_EQ(BadRequirement(), std::nullopt);
  for (const char* word : {"root", "kvm", "net", "vm", "gdb"}) {
    EXPECT_TRUE(Required(word)) << word;
  }
  Set("kvm");
  EXPECT_FALSE(Required("root"));
  Set("");
  EXPECT_EQ(BadRequirement(), std::nullopt);
  EXPECT_FALSE(Required("kvm"));
}

TEST_F(RequireTest, FailsOverAWordThatNoTestKnows) {
  Set("root,kmv");
  EXPECT_THAT(BadRequirement(),
              Optional(AllOf(HasSubstr("\"kmv\", which no test knows"),
                             HasSubstr("root kvm net vm gdb"))));
  EXPECT_FATAL_FAILURE(SERAI_NEED("net"), "SERAI_REQUIRE names \"kmv\"");
}

TEST_F(RequireTest, LacksWhatNoTestKnows) {
  EXPECT_THAT(Lacks("moon"), Optional(HasSubstr("no test knows the need")));
}

}  // namespace
}  // namespace serai::testing
