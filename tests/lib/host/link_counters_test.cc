// SPDX-License-Identifier: Apache-2.0
#include "lib/host/link_counters.h"

#include "tests/support/status_matchers.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;

constexpr char kNetDev[] =
    "Inter-|   Receive                            |  Transmit\n"
    " face |bytes packets errs drop fifo frame compressed multicast|bytes "
    "packets errs drop fifo colls carrier compressed\n"
    "    lo:     1    2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    "serai0: 1000   20 1 2 0 0 0 0 3000 40 3 4 0 0 0 0\n"
    "broken: 1000   20 1 2 0 0 0 0 3000\n"
    "  wrong: 1000 20 one 2 0 0 0 0 3000 40 3 4 0 0 0 0\n";

TEST(LinkCountersTest, TheLineOfALinkIsRead) {
  ASSERT_OK_AND_ASSIGN(const LinkCounters tap,
                       ParseLinkCounters(kNetDev, "serai0"));
  EXPECT_EQ(tap.received.bytes, 1000u);
  EXPECT_EQ(tap.received.packets, 20u);
  EXPECT_EQ(tap.received.errors, 1u);
  EXPECT_EQ(tap.received.dropped, 2u);
  EXPECT_EQ(tap.sent.bytes, 3000u);
  EXPECT_EQ(tap.sent.packets, 40u);
  EXPECT_EQ(tap.sent.errors, 3u);
  EXPECT_EQ(tap.sent.dropped, 4u);
}

TEST(LinkCountersTest, WhatIsNotThereOrMalformedIsSaid) {
  EXPECT_THAT(ParseLinkCounters(kNetDev, "eth0"),
              HasStatus(absl::StatusCode::kNotFound, "eth0"));
  EXPECT_THAT(ParseLinkCounters(kNetDev, "broken"),
              HasStatus(absl::StatusCode::kDataLoss, "broken"));
  EXPECT_THAT(ParseLinkCounters(kNetDev, "wrong"),
              HasStatus(absl::StatusCode::kDataLoss, "wrong"));
}

}  // namespace
}  // namespace serai::host
