// SPDX-License-Identifier: Apache-2.0
#include "lib/base/rollback.h"

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace serai {
namespace {

using ::testing::ElementsAre;

TEST(RollbackTest, RunsUndosBackwardsAndGoesOnAfterAFailure) {
  std::vector<std::string> ran;
  std::vector<std::string> failed;
  {
    Rollback rollback([&](const std::string& what, const absl::Status& error) {
      failed.push_back(what + ": " + std::string(error.message()));
    });
    rollback.Add("first", [&] {
      ran.push_back("first");
      return absl::OkStatus();
    });
    rollback.Add("second", [&] {
      ran.push_back("second");
      return absl::InternalError("broken");
    });
  }
  EXPECT_THAT(ran, ElementsAre("second", "first"));
  EXPECT_THAT(failed, ElementsAre("second: broken"));
}

TEST(RollbackTest, CommittedStepsStay) {
  bool ran = false;
  {
    Rollback rollback(nullptr);
    rollback.Add("step", [&] {
      ran = true;
      return absl::OkStatus();
    });
    rollback.Commit();
  }
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace serai
