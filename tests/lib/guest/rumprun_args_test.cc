// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/rumprun_args.h"

#include <nlohmann/json.hpp>

#include "lib/guest/tell_guest.h"
#include "tests/support/status_matchers.h"

namespace serai::guest {
namespace {

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

NetworkFacts Facts(const NetworkAddress& address) {
  return {{{"tap", {{"fd00::1", 64, ""}, address}}}, "pod", {}};
}

nlohmann::json Net(const NetworkAddress& address) {
  return nlohmann::json::parse(
      RumprunCommandLine({"app", {}, {}, ""}, Facts(address), {}))["net"];
}

TEST(RumprunArgsTest, AllStandsInOneObject) {
  oci::GuestDevice disk;
  disk.name = "rootfs";
  disk.type = oci::GuestDevice::Type::kBlock;
  EXPECT_EQ(RumprunCommandLine({"app", {"-c", "a b"}, {"A=1", "B=2"}, "/srv"},
                               Facts({"10.0.0.7", 24, "10.0.0.1"}), {disk}),
            R"({"cmdline":"app -c 'a b'","env":"A=1","env":"B=2","cwd":"/srv",)"
            R"("net":{"addr":"10.0.0.7","cloner":"True","gw":"10.0.0.1",)"
            R"("if":"ukvmif0","mask":"24","method":"static","type":"inet"},)"
            R"("blk":{"fstype":"blk","mountpoint":"/data","path":"/dev/ld0a",)"
            R"("source":"etfs"}})");
  EXPECT_EQ(RumprunCommandLine({"app", {}, {}, ""}, {}, {}),
            R"({"cmdline":"app","cwd":"/"})");
}

TEST(RumprunArgsTest, AGatewayOutsideMakesTheNetworkLarge) {
  EXPECT_EQ(Net({"10.0.0.7", 32, "169.254.1.1"})["mask"], "1");
  EXPECT_EQ(Net({"10.0.0.7", 32, "10.0.0.7"})["mask"], "1");
  EXPECT_EQ(Net({"10.0.0.7", 24, "10.0.1.1"})["mask"], "1");
  EXPECT_EQ(Net({"10.0.0.7", 24, "10.0.0.1"})["mask"], "24");
  EXPECT_EQ(Net({"10.0.0.7", 32, ""})["mask"], "32");
  EXPECT_FALSE(Net({"10.0.0.7", 32, ""}).contains("gw"));
}

TEST(RumprunArgsTest, WordsAreQuotedForRumprunsParser) {
  const auto line = nlohmann::json::parse(RumprunCommandLine(
      {"app", {"", "say \"x\"", "it's", "a\\b", "a\nb", "ö"}, {}, ""}, {}, {}));
  EXPECT_EQ(line["cmdline"], "app '' say\\ \\\"x\\\" it\\'s a\\\\b 'a\nb' ö");
}

TEST(TellGuestTest, RumprunsLineIsRaw) {
  oci::RuntimeSpec spec;
  spec.unikernel = "/bin/app.hvt";
  ASSERT_OK(TellGuest(
      NetworkArgs::kRumprun, {}, {"", {"x"}, {}, ""},
      []() -> GuestOptions {
        ADD_FAILURE() << "asked";
        return {};
      },
      spec));
  EXPECT_TRUE(spec.raw_args);
  EXPECT_THAT(spec.args, ElementsAre("/bin/app.hvt",
                                     R"({"cmdline":"app.hvt x","cwd":"/"})"));
}

TEST(TellGuestTest, ByDhcpAGuestIsToldNoAddress) {
  oci::RuntimeSpec spec;
  spec.unikernel = "/app";
  spec.devices.resize(1);
  spec.devices[0].name = "service";
  const NetworkFacts facts = {
      {{"service", {{"10.0.0.7", 24, "10.0.0.1"}}}}, "pod", {}};
  const GuestOptions options({{"--ipv4"}, {"--name"}});
  ASSERT_OK(TellGuest(
      NetworkArgs::kDhcp, facts, {"", {"x"}, {}, ""}, [&] { return options; },
      spec));
  EXPECT_THAT(spec.args, ElementsAre("/app", "--name=pod", "x"));
  ASSERT_TRUE(spec.devices[0].lease.has_value());
  EXPECT_EQ(spec.devices[0].lease->address, "10.0.0.7");
  ASSERT_OK(TellGuest(
      NetworkArgs::kMirage, facts, {"", {"x"}, {}, ""}, [&] { return options; },
      spec));
  EXPECT_FALSE(spec.devices[0].lease.has_value());
}

TEST(TellGuestTest, WhatDoesNotFitIsRefused) {
  oci::RuntimeSpec spec;
  spec.unikernel = "/app";
  const auto tell = [&](const std::string& arg) {
    return TellGuest(
        NetworkArgs::kNone, {}, {"", {arg}, {}, ""},
        [] { return GuestOptions(); }, spec);
  };
  EXPECT_THAT(
      tell(std::string(9000, 'x')),
      HasStatus(absl::StatusCode::kInvalidArgument, "are 9000 bytes long"));
  EXPECT_THAT(tell(std::string("--a=\0b", 6)),
              HasStatus(absl::StatusCode::kInvalidArgument, "a NUL"));
}

}  // namespace
}  // namespace serai::guest
