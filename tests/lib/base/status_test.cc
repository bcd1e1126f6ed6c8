// SPDX-License-Identifier: Apache-2.0
#include "lib/base/status.h"

#include <cerrno>

#include "tests/support/status_matchers.h"

namespace serai {
namespace {

using ::serai::testing::HasStatus;

absl::StatusOr<int> Fails() { return absl::NotFoundError("no such thing"); }

absl::Status Outer(int id) {
  ASSIGN_OR_RETURN(const int value, Fails(), "opening ", id);
  return value == 0 ? absl::OkStatus() : absl::InternalError("unreachable");
}

TEST(StatusTest, PrefixesReadAsAPath) {
  EXPECT_THAT(Outer(7), HasStatus(absl::StatusCode::kNotFound,
                                  "opening 7: no such thing"));
}

TEST(StatusTest, AFullDiskIsResourceExhaustedHoweverItIsSaid) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "x").code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(EDQUOT, "x").code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(StatusTest, FirstErrorKeepsTheFirst) {
  EXPECT_EQ(FirstError(absl::OkStatus(), absl::OkStatus()), absl::OkStatus());
  EXPECT_EQ(FirstError(absl::InternalError("a"), absl::InternalError("b")),
            absl::InternalError("a"));
  EXPECT_EQ(FirstError(absl::OkStatus(), absl::InternalError("b")),
            absl::InternalError("b"));
}

}  // namespace
}  // namespace serai
