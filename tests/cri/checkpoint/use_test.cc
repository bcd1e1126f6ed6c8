// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/use.h"

#include <set>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::IsOkAndHolds;
using ::serai::testing::TempDir;

constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;

class UseTest : public ::testing::Test {
 protected:
  absl::StatusOr<bool> Take(const std::string& pod) const {
    return TakeCheckpoint(path_, pod, [this](const std::string& name) {
      return pods_.count(name) != 0;
    });
  }

  const TempDir dir_;
  const std::string path_ = dir_ / "id";
  std::set<std::string> pods_;
};

TEST_F(UseTest, ACheckpointIsOnePodsUntilThatIsGone) {
  EXPECT_THAT(Take("a"), IsOkAndHolds(false));
  // seraid was killed before it made the pod.
  EXPECT_THAT(Take("a"), IsOkAndHolds(false));
  EXPECT_THAT(Take("b"), IsOkAndHolds(false));
  pods_ = {"b"};
  EXPECT_THAT(Take("b"), IsOkAndHolds(true));
  EXPECT_THAT(Take("a"), HasStatus(kRefused, "already, as pod b"));
  // As a guest of the pod before would.
  EXPECT_THAT(UseUpCheckpoint(path_, "a"), HasStatus(kRefused, "any more"));
  pods_ = {};
  EXPECT_THAT(Take("a"), IsOkAndHolds(false));
}

TEST_F(UseTest, OnceItsGuestWasStartedItIsNobodys) {
  EXPECT_THAT(UseUpCheckpoint(path_, "a"), HasStatus(kRefused, "any more"));
  EXPECT_THAT(Take("a"), IsOkAndHolds(false));
  pods_ = {"a"};
  EXPECT_OK(UseUpCheckpoint(path_, "a"));
  const auto used_up = HasStatus(kRefused, "restored before");
  EXPECT_THAT(UseUpCheckpoint(path_, "a"), used_up);
  EXPECT_THAT(Take("a"), used_up);
  pods_ = {};
  EXPECT_THAT(Take("a"), used_up);
  EXPECT_THAT(Take("b"), used_up);
}

TEST_F(UseTest, AnEmptyFileIsNoUse) {
  ASSERT_OK(WriteFileAtomic(path_, ""));
  EXPECT_THAT(Take("a"), IsOkAndHolds(false));
  EXPECT_OK(UseUpCheckpoint(path_, "a"));
}

}  // namespace
}  // namespace serai::cri
