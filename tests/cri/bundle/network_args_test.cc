// SPDX-License-Identifier: Apache-2.0
#include "cri/bundle/network_args.h"

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

state::v1::PodNetwork DualStack() {
  state::v1::PodNetwork network;
  auto* v4 = network.add_addresses();
  v4->set_address("10.0.0.7");
  v4->set_prefix_length(24);
  v4->set_gateway("10.0.0.1");
  auto* v6 = network.add_addresses();
  v6->set_address("fd00::7");
  v6->set_prefix_length(64);
  return network;
}

TEST(NetworkArgsTest, EachFamilyIsToldWithItsGatewayWhereThereIsOne) {
  EXPECT_THAT(NetworkArgs(DualStack(), "service", {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                          "--ipv6=fd00::7/64"));
}

TEST(NetworkArgsTest, AnotherDevicesKeysCarryItsName) {
  state::v1::PodNetwork network = DualStack();
  network.mutable_addresses()->RemoveLast();
  EXPECT_THAT(NetworkArgs(network, "management", {}),
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
  state::v1::PodNetwork network = DualStack();
  auto* second = network.add_addresses();
  second->set_address("10.0.0.8");
  second->set_prefix_length(24);
  EXPECT_EQ(NetworkArgs(network, "service", {}).size(), 3u);
}

TEST(NetworkArgsTest, TheAnnotationTurnsThemOff) {
  runtime::v1::PodSandboxConfig config;
  ASSERT_OK_AND_ASSIGN(const bool by_default, WantsNetworkArgs(config));
  EXPECT_TRUE(by_default);
  (*config.mutable_annotations())[kPodAnnotationNetworkArgs] = "none";
  ASSERT_OK_AND_ASSIGN(const bool none, WantsNetworkArgs(config));
  EXPECT_FALSE(none);
  (*config.mutable_annotations())[kPodAnnotationNetworkArgs] = "dhcp";
  EXPECT_THAT(WantsNetworkArgs(config),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "serai.dev/network-args is \"dhcp\""));
}

}  // namespace
}  // namespace serai::cri
