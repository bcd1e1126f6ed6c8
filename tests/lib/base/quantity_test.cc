// SPDX-License-Identifier: Apache-2.0
#include "lib/base/quantity.h"

#include "tests/support/status_matchers.h"

namespace serai {
namespace {

using ::serai::testing::HasStatus;

int64_t Bytes(absl::string_view text) {
  const auto value = ParseQuantity(text);
  return value.ok() ? *value : -1;
}

TEST(QuantityTest, BinaryAndDecimalSuffixes) {
  EXPECT_EQ(Bytes("0"), 0);
  EXPECT_EQ(Bytes("128974848"), 128974848);
  EXPECT_EQ(Bytes("64Mi"), 64 << 20);
  EXPECT_EQ(Bytes("1.5Gi"), 3LL << 29);
  EXPECT_EQ(Bytes("129M"), 129000000);
  EXPECT_EQ(Bytes("2k"), 2000);
  EXPECT_EQ(Bytes("1E"), 1000000000000000000);
  EXPECT_EQ(Bytes("129e6"), 129000000);
  EXPECT_EQ(Bytes("1E3"), 1000);
}

TEST(QuantityTest, PartsAreRoundedUp) {
  EXPECT_EQ(Bytes("0.5"), 1);
  EXPECT_EQ(Bytes("1500m"), 2);
}

TEST(QuantityTest, MilliUnits) {
  ASSERT_OK_AND_ASSIGN(const int64_t quarter, ParseMilliQuantity("250m"));
  EXPECT_EQ(quarter, 250);
  ASSERT_OK_AND_ASSIGN(const int64_t two, ParseMilliQuantity("2"));
  EXPECT_EQ(two, 2000);
}

TEST(QuantityTest, WhatIsNoQuantityIsRefused) {
  for (const absl::string_view bad :
       {"", "Mi", "64MiB", "-1", "1.2.3", "0x10", "64 Mi", "nan", "inf"}) {
    EXPECT_THAT(ParseQuantity(bad),
                HasStatus(absl::StatusCode::kInvalidArgument, "no quantity"))
        << bad;
  }
  EXPECT_THAT(ParseQuantity("100E"),
              HasStatus(absl::StatusCode::kInvalidArgument, "too large"));
}

}  // namespace
}  // namespace serai
