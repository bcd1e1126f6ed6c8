// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/network_args.h"

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace serai::guest {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Args = std::vector<std::string>;

const NetworkAddress kIpv4 = {"10.0.0.7", 24, "10.0.0.1"};
const NetworkAddress kIpv6 = {"fd00::7", 64, ""};

NetworkFacts Facts(std::vector<DeviceNetwork> devices) {
  return {std::move(devices), "web-0", {"10.96.0.10", "fd00::a"}};
}
NetworkFacts DualStack() { return Facts({{"service", {kIpv4, kIpv6}}}); }
NetworkFacts Ipv4Only() { return Facts({{"service", {kIpv4}}}); }

GuestOptions Takes(const std::vector<std::string>& names) {
  std::vector<OptionNames> options;
  for (const std::string& name : names) options.push_back({name});
  return GuestOptions(std::move(options));
}
Args StaticKeys(const std::string& prefix = "--") {
  return {prefix + "ipv4", prefix + "ipv4-gateway", prefix + "ipv4-only",
          prefix + "ipv6", prefix + "ipv6-gateway", prefix + "ipv6-only"};
}

TEST(MirageArgsTest, OfAnUnknownGuestAddressAndGatewayAreAssumed) {
  EXPECT_THAT(WithMirageArgs(DualStack(), {}, {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                          "--ipv6=fd00::7/64"));
  EXPECT_THAT(WithMirageArgs(Ipv4Only(), {}, {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1"));
  EXPECT_THAT(WithMirageArgs(Facts({{"management", {kIpv4}}}), {}, {}),
              ElementsAre("--management-ipv4=10.0.0.7/24",
                          "--management-ipv4-gateway=10.0.0.1"));
}

TEST(MirageArgsTest, AGuestIsToldOfOneFamilyOnly) {
  EXPECT_THAT(WithMirageArgs(Ipv4Only(), Takes(StaticKeys()), {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                          "--ipv4-only=true"));
  EXPECT_THAT(
      WithMirageArgs(Facts({{"service", {kIpv6}}}), Takes(StaticKeys()), {}),
      ElementsAre("--ipv6=fd00::7/64", "--ipv6-only=true"));
  EXPECT_THAT(WithMirageArgs(DualStack(), Takes(StaticKeys()), {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                          "--ipv6=fd00::7/64"));
  // Who sets up the other family wants it.
  for (const char* arg : {"--ipv6=fd00::9/64", "--ipv6-g", "--ipv4-only=false",
                          "--ipv6-only=false"}) {
    EXPECT_THAT(
        WithMirageArgs(Ipv4Only(), Takes(StaticKeys()), {arg}),
        ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1", arg));
  }
}

TEST(MirageArgsTest, WhatAGuestDoesNotTakeIsNotPassed) {
  EXPECT_THAT(WithMirageArgs(DualStack(), Takes({"--x"}), {"--x"}),
              ElementsAre("--x"));
  EXPECT_THAT(WithMirageArgs(DualStack(), Takes({"--ipv4"}), {}),
              ElementsAre("--ipv4=10.0.0.7/24"));
}

TEST(MirageArgsTest, WhatTheUserSaysIsLeftToTheUser) {
  const GuestOptions unknown;
  EXPECT_THAT(WithMirageArgs(DualStack(), unknown, {"--ipv4=1.2.3.4/8"}),
              ElementsAre("--ipv6=fd00::7/64", "--ipv4=1.2.3.4/8"));
  EXPECT_THAT(WithMirageArgs(DualStack(), unknown, {"--ipv4", "x", "--ipv6=y"}),
              ElementsAre("--ipv4", "x", "--ipv6=y"));
  EXPECT_THAT(WithMirageArgs(DualStack(), unknown, {"--ipv4-gateway=1.2.3.4"}),
              ElementsAre("--ipv6=fd00::7/64", "--ipv4-gateway=1.2.3.4"));
  // A longer key is another key.
  EXPECT_EQ(WithMirageArgs(DualStack(), unknown, {"--ipv4-only=true"}).size(),
            4u);
  EXPECT_THAT(
      WithMirageArgs(Ipv4Only(), Takes(StaticKeys()), {"--ipv4-g=1.2.3.4"}),
      ElementsAre("--ipv4-only=true", "--ipv4-g=1.2.3.4"));
}

TEST(MirageArgsTest, EachDeviceHasItsOwnKeysAndAddresses) {
  Args keys = StaticKeys();
  for (const std::string& key : StaticKeys("--management-")) {
    keys.push_back(key);
  }
  EXPECT_THAT(
      WithMirageArgs(Facts({{"service", {kIpv4, kIpv6}},
                            {"management", {{"192.168.0.2", 16, ""}}}}),
                     Takes(keys), {}),
      ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1",
                  "--ipv6=fd00::7/64", "--management-ipv4=192.168.0.2/16",
                  "--management-ipv4-only=true"));
}

TEST(MirageArgsTest, TheOnlyDevicesKeysMayHaveNoPrefix) {
  const NetworkFacts facts = Facts({{"net0", {kIpv4}}});
  EXPECT_THAT(WithMirageArgs(facts, Takes({"--ipv4"}), {}),
              ElementsAre("--ipv4=10.0.0.7/24"));
  EXPECT_THAT(WithMirageArgs(facts, Takes({"--ipv4", "--net0-ipv4"}), {}),
              ElementsAre("--net0-ipv4=10.0.0.7/24"));
}

TEST(MirageArgsTest, TheFirstAddressOfAFamilyIsThePods) {
  NetworkFacts facts = Ipv4Only();
  facts.devices[0].addresses.push_back({"10.0.0.8", 24, ""});
  EXPECT_THAT(WithMirageArgs(facts, {}, {}),
              ElementsAre("--ipv4=10.0.0.7/24", "--ipv4-gateway=10.0.0.1"));
}

TEST(MirageArgsTest, AGuestIsToldItsName) {
  const NetworkFacts facts = Facts({});
  EXPECT_THAT(WithMirageArgs(facts, Takes({"--name"}), {"x"}),
              ElementsAre("--name=web-0", "x"));
  EXPECT_THAT(WithMirageArgs(facts, Takes({"--name"}), {"--name=y"}),
              ElementsAre("--name=y"));
  EXPECT_THAT(WithMirageArgs(facts, {}, {}), IsEmpty());
}

TEST(MirageArgsTest, DnsServersAreToldInTheSyntaxOfTheGuestsVersion) {
  const auto told = [](const Args& keys, const Args& user = {}) {
    return WithMirageArgs(DualStack(), Takes(keys), user);
  };
  EXPECT_THAT(told({"--dns-servers"}),
              ElementsAre("--dns-servers=tcp:10.96.0.10,tcp:fd00::a"));
  EXPECT_THAT(told({"--dns_servers", "--dns_timeout"}),
              ElementsAre("--dns_servers=tcp:10.96.0.10,tcp:fd00::a"));
  EXPECT_THAT(told({"--resolver"}),
              ElementsAre("--resolver=tcp:10.96.0.10,tcp:fd00::a"));
  EXPECT_THAT(told({"--resolver", "--resolver-port"}),
              ElementsAre("--resolver=10.96.0.10"));
  EXPECT_THAT(told({"--nameserver"}), ElementsAre("--nameserver=tcp:10.96.0.10",
                                                  "--nameserver=tcp:fd00::a"));
  EXPECT_THAT(told({"--dns-servers"}, {"--dns-s=tls:1.1.1.1"}),
              ElementsAre("--dns-s=tls:1.1.1.1"));
  EXPECT_THAT(told({}), IsEmpty());
}

TEST(MirageArgsTest, OnlyDnsServersThatTheGuestCanReachAreTold) {
  NetworkFacts facts = Ipv4Only();
  facts.dns_servers = {"127.0.0.53", "fd00::a", "::1",     "x,y",
                       "9.9.9.1",    "9.9.9.2", "9.9.9.3", "9.9.9.4"};
  EXPECT_THAT(WithMirageArgs(facts, Takes({"--dns-servers"}), {}),
              ElementsAre("--dns-servers=tcp:9.9.9.1,tcp:9.9.9.2,tcp:9.9.9.3"));
  facts.dns_servers = {"127.0.0.1"};
  EXPECT_THAT(WithMirageArgs(facts, Takes({"--dns-servers"}), {}), IsEmpty());
}

TEST(LeaseTest, IsForAGuestWithoutAnOptionForItsAddress) {
  const NetworkFacts facts = DualStack();
  const DeviceNetwork& service = facts.devices[0];
  const auto lease =
      LeaseFor(service, facts, Takes({"--name"}), NetworkArgs::kMirage);
  ASSERT_TRUE(lease.has_value());
  oci::DhcpLease wanted;
  wanted.address = "10.0.0.7";
  wanted.prefix_length = 24;
  wanted.gateway = "10.0.0.1";
  wanted.dns_servers = {"10.96.0.10"};
  wanted.hostname = "web-0";
  EXPECT_EQ(*lease, wanted);

  EXPECT_FALSE(LeaseFor(service, facts, {}, NetworkArgs::kMirage));
  EXPECT_FALSE(
      LeaseFor(service, facts, Takes({"--ipv4"}), NetworkArgs::kMirage));
  EXPECT_FALSE(LeaseFor(service, facts, Takes({"--x"}), NetworkArgs::kNone));
  EXPECT_TRUE(LeaseFor(service, facts, {}, NetworkArgs::kDhcp));
  EXPECT_TRUE(LeaseFor(service, facts, Takes({"--ipv4"}), NetworkArgs::kDhcp));
  EXPECT_FALSE(LeaseFor({"service", {kIpv6}}, facts, {}, NetworkArgs::kDhcp));
}

TEST(WantedNetworkArgsTest, TheAnnotationChooses) {
  const auto wanted = [](const char* value) {
    return WantedNetworkArgs({{kPodAnnotationNetworkArgs, value}}, {});
  };
  EXPECT_EQ(*WantedNetworkArgs({}, {}), NetworkArgs::kMirage);
  EXPECT_EQ(*wanted("mirage"), NetworkArgs::kMirage);
  EXPECT_EQ(*wanted("rumprun"), NetworkArgs::kRumprun);
  EXPECT_EQ(*wanted("dhcp"), NetworkArgs::kDhcp);
  EXPECT_EQ(*wanted("none"), NetworkArgs::kNone);
  EXPECT_THAT(wanted("DHCP"),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "serai.dev/network-args is \"DHCP\"; it can be "
                        "\"mirage\" (the default), \"rumprun\", \"dhcp\" or "
                        "\"none\""));
}

TEST(WantedNetworkArgsTest, UruncsWordForAnImageHoldsWhereThePodSaysNothing) {
  const std::map<std::string, std::string> image = {
      {"com.urunc.unikernel.unikernelType", "rumprun"}};
  EXPECT_EQ(*WantedNetworkArgs({}, image), NetworkArgs::kRumprun);
  EXPECT_EQ(*WantedNetworkArgs({{kPodAnnotationNetworkArgs, "none"}}, image),
            NetworkArgs::kNone);
}

}  // namespace
}  // namespace serai::guest
