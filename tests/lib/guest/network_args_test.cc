// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/network_args.h"

#include "tests/support/status_matchers.h"

namespace serai::guest {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<NetworkAddress> DualStack() {
  return {{"10.0.0.7", 24, "10.0.0.1"}, {"fd00::7", 64, ""}};
}

TEST(NetworkArgsTest, EachFamilyIsToldWithItsGatewayWhereThereIsOne) {
  EXPECT_THAT(NetworkArgs(DualStack(), "service", {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                          "--ipv6=fd00::7/64"));
}

TEST(NetworkArgsTest, AnotherDevicesKeysCarryItsName) {
  EXPECT_THAT(NetworkArgs({DualStack()[0]}, "management", {}),
              ElementsAre("--management-ipv4=10.0.0.7/24",
                          "--management-ipv4-gateway=10.0.0.1"));
}

TEST(NetworkArgsTest, WhatTheUserSaysIsLeftToTheUser) {
  EXPECT_THAT(NetworkArgs(DualStack(), "service", {"--ipv4=1.2.3.4/8"}),
              ElementsAre("--ipv6=fd00::7/64"));
  EXPECT_THAT(NetworkArgs(DualStack(), "service", {"--ipv4", "x", "--ipv6=y"}),
              IsEmpty());
  EXPECT_THAT(NetworkArgs(DualStack(), "service", {"--ipv4-gateway=1.2.3.4"}),
              ElementsAre("--ipv6=fd00::7/64"));
  // A longer key is another key.
  EXPECT_EQ(NetworkArgs(DualStack(), "service", {"--ipv4-only=true"}).size(),
            3u);
}

TEST(NetworkArgsTest, TheFirstAddressOfAFamilyIsThePods) {
  std::vector<NetworkAddress> addresses = DualStack();
  addresses.push_back({"10.0.0.8", 24, ""});
  EXPECT_EQ(NetworkArgs(addresses, "service", {}).size(), 3u);
}

TEST(NetworkArgsTest, ThoseOfEachDeviceStandBeforeTheUsers) {
  EXPECT_THAT(WithNetworkArgs({{"service", {DualStack()[0]}},
                               {"private", {{"10.1.0.7", 16, ""}}}},
                              {"--x", "a b"}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                          "--private-ipv4=10.1.0.7/16", "--x", "a b"));
  EXPECT_THAT(WithNetworkArgs({}, {"--x"}), ElementsAre("--x"));
}

TEST(NetworkArgsTest, TheAnnotationTurnsThemOff) {
  ASSERT_OK_AND_ASSIGN(const bool by_default, WantsNetworkArgs({}));
  EXPECT_TRUE(by_default);
  ASSERT_OK_AND_ASSIGN(const bool none,
                       WantsNetworkArgs({{kPodAnnotationNetworkArgs, "none"}}));
  EXPECT_FALSE(none);
  EXPECT_THAT(WantsNetworkArgs({{kPodAnnotationNetworkArgs, "dhcp"}}),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "serai.dev/network-args is \"dhcp\""));
}

}  // namespace
}  // namespace serai::guest
