// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/memory.h"

#include "tests/support/status_matchers.h"

namespace serai::guest {
namespace {

using ::serai::testing::HasStatus;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(MemoryTest, IsTheLimitInWholePairsOfMebibytes) {
  solo5::Unikernel unikernel = {};
  unikernel.target = solo5::Target::kHvt;
  unikernel.lowest_memory = 2 << 20;
  ASSERT_OK_AND_ASSIGN(const uint64_t memory,
                       GuestMemory((8 << 20) - 1, "the limit", unikernel));
  EXPECT_EQ(memory, 6U << 20);
  EXPECT_THAT(GuestMemory((2 << 20) - 1, "the limit", unikernel),
              HasStatus(kInvalid, "the limit of 2097151 bytes is below"));
  EXPECT_THAT(GuestMemory(int64_t{1} << 60, "the limit", unikernel),
              HasStatus(kInvalid, "above what an hvt unikernel can have"));
  unikernel.target = solo5::Target::kSpt;
  EXPECT_OK(GuestMemory(int64_t{1} << 40, "the limit", unikernel));
  unikernel.lowest_memory = 3 << 20;
  EXPECT_THAT(GuestMemory(3 << 20, "the limit", unikernel),
              HasStatus(kInvalid, "needs to be loaded: 4Mi"));
}

}  // namespace
}  // namespace serai::guest
