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
  EXPECT_EQ(Bytes("5e+2"), 500);
  EXPECT_EQ(Bytes("7Ei"), 7LL << 60);
  EXPECT_EQ(Bytes("9223372036854775807"), INT64_MAX);
}

TEST(QuantityTest, PartsAreRoundedUp) {
  EXPECT_EQ(Bytes("0.5"), 1);
  EXPECT_EQ(Bytes("1500m"), 2);
  EXPECT_EQ(Bytes("0.1Gi"), 107374183);
  EXPECT_EQ(Bytes("1e-300"), 1);
  EXPECT_EQ(Bytes("0e30000"), 0);
}

// None of these has an exact binary fraction.
TEST(QuantityTest, WholeOnesAreExact) {
  EXPECT_EQ(Bytes("1.1k"), 1100);
  EXPECT_EQ(Bytes("2.2M"), 2200000);
  for (const absl::string_view cpu : {"0.1", "100m", "1e-1", "100000000n"}) {
    EXPECT_EQ(ParseMilliQuantity(cpu).value_or(-1), 100) << cpu;
  }
  EXPECT_EQ(ParseMilliQuantity("2.2").value_or(-1), 2200);
}

TEST(QuantityTest, MilliUnits) {
  ASSERT_OK_AND_ASSIGN(const int64_t quarter, ParseMilliQuantity("250m"));
  EXPECT_EQ(quarter, 250);
  ASSERT_OK_AND_ASSIGN(const int64_t two, ParseMilliQuantity("2"));
  EXPECT_EQ(two, 2000);
}

TEST(QuantityTest, WhatIsNoQuantityIsRefused) {
  for (const absl::string_view bad :
       {"", "Mi", "64MiB", "-1", "1.2.3", "0x10", "64 Mi", "nan", "inf", ".",
        "1e3Mi", "1e", "1e 3", "1e99999", "1 "}) {
    EXPECT_THAT(ParseQuantity(bad),
                HasStatus(absl::StatusCode::kInvalidArgument, "no quantity"))
        << bad;
  }
  for (const absl::string_view large :
       {"100E", "8Ei", "9223372036854775808", "1e30000",
        "99999999999999999999999999999999"}) {
    EXPECT_THAT(ParseQuantity(large),
                HasStatus(absl::StatusCode::kInvalidArgument, "too large"))
        << large;
  }
}

}  // namespace
}  // namespace serai
