// SPDX-License-Identifier: Apache-2.0
#include "shim/dhcp_message.h"

#include <map>

#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::testing::Contains;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

constexpr MacAddress kClientMac = {2, 0, 0, 0, 0, 7};
constexpr MacAddress kServerMac = {2, 0, 0, 0, 0, 1};
constexpr uint32_t kEverybody = 0xffffffff;
constexpr uint32_t kAddress = 0x0a000007;  // 10.0.0.7
constexpr uint32_t kGateway = 0x0a000001;
constexpr size_t kMessage = 14 + 20 + 8;

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}
std::string Number(uint32_t value, int size) {
  std::string text;
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift));
  }
  return text;
}
uint32_t NumberAt(absl::string_view text, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<uint8_t>(text[at + i]);
  }
  return value;
}
uint16_t Sum(absl::string_view data) {
  uint32_t sum = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    sum += uint32_t{static_cast<uint8_t>(data[i])} << (i % 2 == 0 ? 8 : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

struct Client {
  std::string options = Bytes({53, 1, 1});
  uint32_t flags = 0;
  uint32_t address = 0;
  uint32_t to = kEverybody;
  MacAddress mac = kClientMac;

  std::string Frame() const {
    std::string message = Bytes({1, 1, 6, 0}) + Number(0xabcdef01, 4) +
                          Number(0, 2) + Number(flags, 2) + Number(address, 4);
    message.resize(28, '\0');
    message.append(mac.begin(), mac.end());
    message.resize(236, '\0');
    message += Number(0x63825363, 4) + options + Bytes({255});
    const std::string udp =
        Number(68, 2) + Number(67, 2) +
        Number(static_cast<uint32_t>(8 + message.size()), 2) + Number(0, 2) +
        message;
    std::string ip =
        Bytes({0x45, 0}) + Number(static_cast<uint32_t>(20 + udp.size()), 2) +
        Bytes({0, 0, 0, 0, 64, 17, 0, 0}) + Number(0, 4) + Number(to, 4);
    ip.replace(10, 2, Number(0xffffU & ~Sum(ip), 2));
    return std::string(6, '\xff') + std::string(mac.begin(), mac.end()) +
           Bytes({8, 0}) + ip + udp;
  }
};

DhcpFacts Facts() {
  DhcpFacts facts;
  facts.client_mac = kClientMac;
  facts.server_mac = kServerMac;
  facts.address = kAddress;
  facts.prefix_length = 24;
  facts.gateway = facts.server = kGateway;
  facts.dns_servers = {0x0a60000a, 0x0a60000b};
  facts.hostname = "web-0";
  facts.mtu = 1450;
  return facts;
}

// The options of an answer, by their codes; the rest was checked.
std::map<int, std::string> OptionsOf(const std::string& frame) {
  std::map<int, std::string> options;
  for (size_t at = kMessage + 240; at < frame.size();) {
    const auto code = static_cast<uint8_t>(frame[at]);
    if (code == 255) return options;
    const auto size = static_cast<uint8_t>(frame.at(at + 1));
    options[code] = frame.substr(at + 2, size);
    at += 2 + size;
  }
  ADD_FAILURE() << "the options have no end";
  return options;
}

std::optional<std::string> Answer(const Client& client,
                                  const DhcpFacts& facts = Facts()) {
  const auto request = ParseDhcpRequest(client.Frame());
  EXPECT_TRUE(request.has_value());
  if (!request) return std::nullopt;
  return DhcpAnswer(*request, facts);
}

TEST(DhcpTest, AnOfferHasAllThatIsKnown) {
  const auto offer = Answer({});
  ASSERT_TRUE(offer.has_value());
  // The Ethernet, IP and UDP headers.
  EXPECT_EQ(offer->substr(0, 14),
            std::string(kClientMac.begin(), kClientMac.end()) +
                std::string(kServerMac.begin(), kServerMac.end()) +
                Bytes({8, 0}));
  const std::string ip = offer->substr(14, 20);
  const std::string udp = offer->substr(34);
  EXPECT_EQ(Sum(ip), 0xffff);
  EXPECT_EQ(Sum(ip.substr(12) + Bytes({0, 17}) +
                Number(static_cast<uint32_t>(udp.size()), 2) + udp),
            0xffff);
  EXPECT_EQ(NumberAt(ip, 2, 2), ip.size() + udp.size());
  EXPECT_EQ(NumberAt(udp, 4, 2), udp.size());
  EXPECT_EQ(NumberAt(ip, 12, 4), kGateway);
  EXPECT_EQ(NumberAt(ip, 16, 4), kAddress);
  EXPECT_EQ(NumberAt(udp, 0, 4), 67U << 16 | 68);
  // The message.
  EXPECT_EQ(offer->substr(kMessage, 4), Bytes({2, 1, 6, 0}));
  EXPECT_EQ(NumberAt(*offer, kMessage + 4, 4), 0xabcdef01);
  EXPECT_EQ(NumberAt(*offer, kMessage + 16, 4), kAddress);
  EXPECT_EQ(offer->substr(kMessage + 28, 6),
            std::string(kClientMac.begin(), kClientMac.end()));
  const std::map<int, std::string> wanted = {
      {53, Bytes({2})},
      {54, Number(kGateway, 4)},
      {51, Number(0xffffffff, 4)},
      {1, Number(0xffffff00, 4)},
      {3, Number(kGateway, 4)},
      {6, Number(0x0a60000a, 4) + Number(0x0a60000b, 4)},
      {12, "web-0"},
      {26, Number(1450, 2)}};
  EXPECT_EQ(OptionsOf(*offer), wanted);
  EXPECT_GE(offer->size(), kMessage + 300);
}

TEST(DhcpTest, ARequestForTheAddressIsAcknowledgedAndForAnotherRefused) {
  Client client;
  client.options = Bytes({53, 1, 3, 50, 4}) + Number(kAddress, 4) +
                   Bytes({54, 4}) + Number(kGateway, 4);
  auto answer = Answer(client);
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(OptionsOf(*answer), Contains(Pair(53, Bytes({5}))));
  EXPECT_EQ(NumberAt(*answer, kMessage + 16, 4), kAddress);

  client.options = Bytes({53, 1, 3, 50, 4}) + Number(kAddress + 1, 4);
  answer = Answer(client);
  ASSERT_TRUE(answer.has_value());
  const std::map<int, std::string> refusal = {{53, Bytes({6})},
                                              {54, Number(kGateway, 4)}};
  EXPECT_EQ(OptionsOf(*answer), refusal);
  EXPECT_EQ(NumberAt(*answer, kMessage + 16, 4), 0U);
  EXPECT_EQ(NumberAt(*answer, 14 + 16, 4), kEverybody);
  EXPECT_EQ(answer->substr(0, 6), std::string(6, '\xff'));
}

TEST(DhcpTest, OneThatHasTheAddressRenewsItOrAsksForTheRest) {
  Client client;
  client.address = kAddress;
  client.to = kGateway;
  client.options = Bytes({53, 1, 3});
  auto answer = Answer(client);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(NumberAt(*answer, kMessage + 12, 4), kAddress);
  EXPECT_EQ(NumberAt(*answer, 14 + 16, 4), kAddress);

  client.options = Bytes({53, 1, 8});
  answer = Answer(client);
  ASSERT_TRUE(answer.has_value());
  EXPECT_THAT(OptionsOf(*answer), Contains(Pair(53, Bytes({5}))));
  EXPECT_THAT(OptionsOf(*answer), Not(Contains(Key(51))));
  EXPECT_EQ(NumberAt(*answer, kMessage + 16, 4), 0U);
}

TEST(DhcpTest, ABroadcastIsAnsweredByOneWhereThatIsWanted) {
  Client client;
  client.flags = 0x8000;
  const auto answer = Answer(client);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->substr(0, 6), std::string(6, '\xff'));
  EXPECT_EQ(NumberAt(*answer, 14 + 16, 4), kEverybody);
  EXPECT_EQ(NumberAt(*answer, kMessage + 10, 2), 0x8000U);
}

TEST(DhcpTest, AGatewayOutsideOfTheNetworkHasARoute) {
  DhcpFacts facts = Facts();
  facts.prefix_length = 32;
  facts.gateway = facts.server = 0xa9fe0101;
  Client client;
  client.options += Bytes({55, 3, 1, 3, 121});
  auto answer = Answer(client, facts);
  ASSERT_TRUE(answer.has_value());
  const std::string route =
      Bytes({32, 169, 254, 1, 1, 0, 0, 0, 0}) + Bytes({0, 169, 254, 1, 1});
  EXPECT_THAT(OptionsOf(*answer), Contains(Pair(121, route)));
  EXPECT_THAT(OptionsOf(*answer), Contains(Pair(1, Number(0xffffffff, 4))));
  EXPECT_THAT(OptionsOf(*answer), Contains(Pair(3, Number(0xa9fe0101, 4))));
  // Not where it is inside, or is not asked for.
  answer = Answer(client);
  EXPECT_THAT(OptionsOf(*answer), Not(Contains(Key(121))));
  answer = Answer({}, facts);
  EXPECT_THAT(OptionsOf(*answer), Not(Contains(Key(121))));
}

TEST(DhcpTest, OthersAreNotAnswered) {
  Client other_mac;
  other_mac.mac[5] = 8;
  EXPECT_FALSE(Answer(other_mac));
  Client to_another;
  to_another.to = kGateway + 1;
  EXPECT_FALSE(Answer(to_another));
  Client chose_another;
  chose_another.options = Bytes({53, 1, 3, 54, 4}) + Number(kGateway + 1, 4);
  EXPECT_FALSE(Answer(chose_another));
  for (const int type : {0, 2, 4, 5, 6, 7, 9, 255}) {
    Client client;
    client.options = Bytes({53, 1, type});
    EXPECT_FALSE(Answer(client)) << type;
  }
}

TEST(DhcpTest, WhatIsNoRequestIsLeftAlone) {
  const std::string good = Client().Frame();
  ASSERT_TRUE(ParseDhcpRequest(good).has_value());
  // Whatever is cut off, and each bit of what must have a value.
  for (size_t size = 0; size < kMessage + 240; ++size) {
    EXPECT_FALSE(ParseDhcpRequest(good.substr(0, size))) << size;
  }
  const std::vector<size_t> fixed = {12, 13, 14, 20, 21, 23,  30,  34,  35,
                                     36, 37, 42, 43, 44, 278, 279, 280, 281};
  for (const size_t at : fixed) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    EXPECT_FALSE(ParseDhcpRequest(bad)) << at;
  }
  for (const std::string& options :
       {std::string(), Bytes({53}), Bytes({53, 9, 1}), Bytes({53, 0}),
        Bytes({53, 2, 1, 1}), Bytes({53, 1, 1, 50, 200})}) {
    Client client;
    client.options = options;
    EXPECT_FALSE(ParseDhcpRequest(client.Frame())) << options.size();
  }
  EXPECT_FALSE(ParseDhcpRequest(good + std::string(2000, '\0')));
  // Padding of a short frame is no part of it.
  EXPECT_TRUE(ParseDhcpRequest(good + std::string(30, '\0')));
}

TEST(DhcpFactsTest, AreTheDevices) {
  oci::GuestDevice device;
  device.name = "service";
  device.mac = "02:00:00:00:00:07";
  device.mtu = 1450;
  device.lease = {"10.0.0.7", 24, "10.0.0.1", {"10.96.0.10"}, "web-0"};
  ASSERT_OK_AND_ASSIGN(DhcpFacts facts, DhcpFactsOf(device, kServerMac));
  EXPECT_EQ(facts.client_mac, kClientMac);
  EXPECT_EQ(facts.address, kAddress);
  EXPECT_EQ(facts.server, kGateway);
  device.lease->gateway = "";
  ASSERT_OK_AND_ASSIGN(facts, DhcpFactsOf(device, kServerMac));
  EXPECT_EQ(facts.gateway, 0U);
  EXPECT_EQ(facts.server, 0xa9fe0101U);
  device.mac = "";
  EXPECT_THAT(DhcpFactsOf(device, kServerMac),
              HasStatus(absl::StatusCode::kInvalidArgument, "service has no"));
}

}  // namespace
}  // namespace serai::shim
