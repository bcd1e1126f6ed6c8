// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/devices.h"

#include <cstring>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::guest {
namespace {

using oci::GuestDevice;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using solo5::DeviceType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A unikernel with these devices.
solo5::Unikernel WithDevices(
    const std::vector<std::pair<std::string, DeviceType>>& devices) {
  solo5::Unikernel unikernel = {};
  unikernel.manifest.entry_count = static_cast<uint32_t>(devices.size()) + 1;
  for (size_t i = 0; i < devices.size(); ++i) {
    solo5::ManifestEntry& entry = unikernel.manifest.entries[i + 1];
    devices[i].first.copy(entry.name, sizeof(entry.name) - 1);
    entry.type = devices[i].second;
  }
  return unikernel;
}

Attachments WithVolumes(const std::vector<Volume>& volumes) {
  Attachments attachments;
  attachments.interfaces = {{"eth0", "serai0", "02:00:00:00:00:01", 1400, {}}};
  attachments.blocks.volumes = volumes;
  return attachments;
}

TEST(DevicesTest, TheNetworkDeviceGetsThePodsInterface) {
  ASSERT_OK_AND_ASSIGN(
      const auto devices,
      MatchDevices(WithDevices({{"service", DeviceType::kNet}}),
                   WithVolumes({})));
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].type, GuestDevice::Type::kNet);
  EXPECT_EQ(devices[0].tap, "serai0");
  EXPECT_EQ(devices[0].mac, "02:00:00:00:00:01");
  EXPECT_EQ(devices[0].mtu, 1400u);
}

TEST(DevicesTest, ADeviceWithoutAnInterfaceIsNamedInTheError) {
  EXPECT_THAT(MatchDevices(WithDevices({{"service", DeviceType::kNet},
                                        {"management", DeviceType::kNet}}),
                           WithVolumes({})),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "device \"management\" has nothing to attach: the pod "
                        "has no interface left for it (eth0)"));
}

const solo5::Unikernel kThreeNets =
    WithDevices({{"service", DeviceType::kNet},
                 {"storage", DeviceType::kNet},
                 {"private", DeviceType::kNet}});

Attachments ThreeInterfaces() {
  return {{{"eth0", "serai0", "02:00:00:00:00:01", 1400, {}},
           {"net1", "serai1", "02:00:00:00:00:02", 1500, {}},
           {"net2", "serai2", "02:00:00:00:00:03", 9000, {}}},
          {},
          {}};
}

TEST(DevicesTest, InterfacesGoToTheDevicesInOrder) {
  const Attachments attachments = ThreeInterfaces();
  ASSERT_OK_AND_ASSIGN(const auto devices,
                       MatchDevices(kThreeNets, attachments));
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[0].tap, "serai0");
  EXPECT_EQ(devices[1].tap, "serai1");
  EXPECT_EQ(devices[2].tap, "serai2");
  EXPECT_EQ(devices[2].mtu, 9000u);
  EXPECT_EQ(InterfaceOf(devices[1], attachments)->name, "net1");
  EXPECT_TRUE(UnusedNetworks(devices, attachments).empty());
}

TEST(DevicesTest, AnAnnotationChoosesTheInterfaceAndTheOthersFollow) {
  Attachments attachments = ThreeInterfaces();
  attachments.annotations["serai.dev/net.private"] = "eth0";
  ASSERT_OK_AND_ASSIGN(const auto devices,
                       MatchDevices(kThreeNets, attachments));
  EXPECT_EQ(devices[0].tap, "serai1");
  EXPECT_EQ(devices[1].tap, "serai2");
  EXPECT_EQ(devices[2].name, "private");
  EXPECT_EQ(devices[2].tap, "serai0");
}

TEST(DevicesTest, AnAnnotationForAnInterfaceThatIsNotThereIsRefused) {
  Attachments attachments = ThreeInterfaces();
  attachments.annotations["serai.dev/net.private"] = "net7";
  EXPECT_THAT(MatchDevices(kThreeNets, attachments),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "serai.dev/net.private wants interface \"net7\", which "
                        "the pod has not"));
  attachments.annotations["serai.dev/net.private"] = "eth0";
  attachments.annotations["serai.dev/net.service"] = "eth0";
  EXPECT_THAT(MatchDevices(kThreeNets, attachments),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "or another device has; the pod's interfaces: eth0, "
                        "net1, net2"));
}

TEST(DevicesTest, WhatIsGivenAndNotUsedIsTold) {
  Attachments attachments = ThreeInterfaces();
  attachments.annotations["serai.dev/net.servcie"] = "net2";
  ASSERT_OK_AND_ASSIGN(
      const auto devices,
      MatchDevices(WithDevices({{"service", DeviceType::kNet}}), attachments));
  EXPECT_THAT(
      UnusedNetworks(devices, attachments),
      ElementsAre(HasSubstr("interface net1 has no device"),
                  HasSubstr("interface net2 has no device"),
                  HasSubstr("annotation serai.dev/net.servcie is for")));
}

TEST(DevicesTest, ABlockDeviceGetsTheVolumeOfItsName) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "disk", std::string(4096, 'x')));
  const auto unikernel = WithDevices({{"storage", DeviceType::kBlock}});
  ASSERT_OK_AND_ASSIGN(
      const auto devices,
      MatchDevices(unikernel,
                   WithVolumes({{"/dev/other", "/none", false},
                                {"/dev/storage", dir / "disk", false},
                                {"/storage", "/second", false}})));
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].path, dir / "disk");
  EXPECT_FALSE(devices[0].read_only);

  ASSERT_OK_AND_ASSIGN(
      const auto read_only,
      MatchDevices(unikernel,
                   WithVolumes({{"/volumes/storage", dir / "disk", true}})));
  EXPECT_TRUE(read_only[0].read_only);
}

TEST(DevicesTest, TheNetworkIsWantedByItsDevice) {
  EXPECT_TRUE(WantsNetwork(WithDevices(
      {{"storage", DeviceType::kBlock}, {"service", DeviceType::kNet}})));
  EXPECT_FALSE(WantsNetwork(WithDevices({{"storage", DeviceType::kBlock}})));
}

TEST(DevicesTest, WhatIsMissingIsSaidWithHowToSupplyIt) {
  const auto unikernel = WithDevices(
      {{"service", DeviceType::kNet}, {"storage", DeviceType::kBlock}});
  const auto missing = MatchDevices(unikernel, WithVolumes({}));
  EXPECT_THAT(missing, HasStatus(absl::StatusCode::kInvalidArgument,
                                 "ends in \"/storage\""));
  EXPECT_THAT(missing, HasStatus(absl::StatusCode::kInvalidArgument,
                                 "service (NET_BASIC), storage (BLOCK_BASIC)"));
}

TEST(DevicesTest, AVolumeThatIsNoDiskIsRefused) {
  const TempDir dir;
  const auto match = [&](const std::string& path) {
    return MatchDevices(WithDevices({{"storage", DeviceType::kBlock}}),
                        WithVolumes({{"/storage", path, false}}));
  };
  EXPECT_THAT(match("/dev/null"),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "neither a file nor a block device"));
  EXPECT_THAT(match(dir.path()),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "is empty; put the guest's disk there"));
  ASSERT_OK(WriteFileAtomic(dir / "odd", std::string(1000, 'x')));
  EXPECT_THAT(match(dir / "odd"),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "1000 bytes, which is no multiple"));
  EXPECT_THAT(match(dir / "missing"),
              HasStatus(absl::StatusCode::kInvalidArgument, "is not there"));
}

}  // namespace
}  // namespace serai::guest
