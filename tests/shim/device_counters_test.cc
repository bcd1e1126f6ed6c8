// SPDX-License-Identifier: Apache-2.0
#include "shim/device_counters.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serai::shim {
namespace {

using oci::GuestDevice;

constexpr char kNetDev[] =
    "Inter-|   Receive                            |  Transmit\n"
    " face |bytes packets errs drop fifo frame compressed multicast|bytes "
    "packets errs drop fifo colls carrier compressed\n"
    "    lo:     1    2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    "serai0: 1000   20 1 2 0 0 0 0 3000 40 3 4 0 0 0 0\n";

GuestDevice Net(const std::string& name, const std::string& tap) {
  GuestDevice device;
  device.name = name;
  device.tap = tap;
  return device;
}

GuestDevice Block(const std::string& name) {
  GuestDevice device;
  device.name = name;
  device.type = GuestDevice::Type::kBlock;
  return device;
}

TEST(DeviceCountersTest, WhatATapSendsItsGuestReceives) {
  v1::DevicesResponse response;
  AddNetCounters({Net("service", "serai0"), Block("disk")}, false, kNetDev,
                 response);
  ASSERT_EQ(response.devices_size(), 1);
  const v1::DeviceCounters& counters = response.devices(0);
  EXPECT_EQ(counters.name(), "service");
  EXPECT_EQ(counters.type(), "net");
  EXPECT_EQ(counters.received(), 40u);
  EXPECT_EQ(counters.received_bytes(), 3000u);
  EXPECT_EQ(counters.sent(), 20u);
  EXPECT_EQ(counters.sent_bytes(), 1000u);
  EXPECT_EQ(counters.failed(), 1u + 2 + 3 + 4);
}

TEST(DeviceCountersTest, LeavesOutATapThatIsNotThere) {
  for (const std::string text :
       {"", "x", "serai0", "serai1: 1 2\n", "serai0: 1 2 x\n"}) {
    v1::DevicesResponse response;
    AddNetCounters({Net("service", "serai0")}, false, text, response);
    EXPECT_EQ(response.devices_size(), 0) << text;
  }
}

TEST(DeviceCountersTest, ReadsBlocksFromTheTendersLine) {
  const auto line = nlohmann::json::parse(
      R"({"stats":{"devices":[{"name":"service","reads":9},
          {"name":"disk","reads":1,"bytes_read":512,"writes":2,
           "bytes_written":1024,"refused":3}]}})");
  v1::DevicesResponse response;
  AddBlockCounters({Net("service", "serai0"), Block("disk"), Block("other")},
                   line, response);
  ASSERT_EQ(response.devices_size(), 1);
  const v1::DeviceCounters& counters = response.devices(0);
  EXPECT_EQ(counters.name(), "disk");
  EXPECT_EQ(counters.type(), "block");
  EXPECT_EQ(counters.received(), 1u);
  EXPECT_EQ(counters.received_bytes(), 512u);
  EXPECT_EQ(counters.sent(), 2u);
  EXPECT_EQ(counters.sent_bytes(), 1024u);
  EXPECT_EQ(counters.failed(), 3u);
}

// The line comes from a process that holds a hostile guest.
TEST(DeviceCountersTest, BelievesNoLineOfAnotherForm) {
  for (const char* text :
       {"1", "[]", "{}", R"({"stats":1})", R"({"stats":{}})",
        R"({"stats":{"devices":{}}})", R"({"stats":{"devices":[1,[],{}]}})",
        R"({"stats":{"devices":[{"name":1}]}})"}) {
    v1::DevicesResponse response;
    AddBlockCounters({Block("disk")}, nlohmann::json::parse(text), response);
    EXPECT_EQ(response.devices_size(), 0) << text;
  }
  v1::DevicesResponse response;
  AddBlockCounters(
      {Block("disk")},
      nlohmann::json::parse(
          R"({"stats":{"devices":[{"name":"disk","reads":-1,"writes":"2",
              "bytes_read":1.5,"refused":[]}]}})"),
      response);
  ASSERT_EQ(response.devices_size(), 1);
  EXPECT_EQ(response.devices(0).received(), 0u);
  EXPECT_EQ(response.devices(0).sent(), 0u);
}

}  // namespace
}  // namespace serai::shim
