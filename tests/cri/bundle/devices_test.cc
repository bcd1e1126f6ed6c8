// SPDX-License-Identifier: Apache-2.0
#include "cri/bundle/devices.h"

#include <cstring>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using oci::GuestDevice;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using solo5::DeviceType;

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

state::v1::PodRecord PodWithNetwork() {
  state::v1::PodRecord pod;
  pod.set_tap("serai0");
  pod.mutable_network()->set_mac("02:00:00:00:00:01");
  pod.mutable_network()->set_mtu(1400);
  return pod;
}

TEST(DevicesTest, TheNetworkDeviceGetsThePodsInterface) {
  ASSERT_OK_AND_ASSIGN(
      const auto devices,
      MatchDevices(WithDevices({{"service", DeviceType::kNet}}),
                   PodWithNetwork(), {}));
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].type, GuestDevice::Type::kNet);
  EXPECT_EQ(devices[0].tap, "serai0");
  EXPECT_EQ(devices[0].mac, "02:00:00:00:00:01");
  EXPECT_EQ(devices[0].mtu, 1400u);
}

TEST(DevicesTest, ASecondNetworkDeviceIsNamedInTheError) {
  EXPECT_THAT(MatchDevices(WithDevices({{"service", DeviceType::kNet},
                                        {"management", DeviceType::kNet}}),
                           PodWithNetwork(), {}),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "device \"management\" has nothing to attach"));
}

TEST(DevicesTest, ABlockDeviceGetsTheVolumeOfItsName) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "disk", std::string(4096, 'x')));
  runtime::v1::ContainerConfig config;
  auto* device = config.add_devices();
  device->set_container_path("/dev/storage");
  device->set_host_path(dir / "disk");
  device->set_permissions("mrw");
  const auto unikernel = WithDevices({{"storage", DeviceType::kBlock}});
  ASSERT_OK_AND_ASSIGN(const auto devices,
                       MatchDevices(unikernel, PodWithNetwork(), config));
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].path, dir / "disk");
  EXPECT_FALSE(devices[0].read_only);

  device->set_permissions("r");
  ASSERT_OK_AND_ASSIGN(const auto read_only,
                       MatchDevices(unikernel, PodWithNetwork(), config));
  EXPECT_TRUE(read_only[0].read_only);
}

TEST(DevicesTest, AMountedFileIsABlockDeviceToo) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "disk", std::string(4096, 'x')));
  runtime::v1::ContainerConfig config;
  auto* mount = config.add_mounts();
  mount->set_container_path("/volumes/storage");
  mount->set_host_path(dir / "disk");
  mount->set_readonly(true);
  ASSERT_OK_AND_ASSIGN(
      const auto devices,
      MatchDevices(WithDevices({{"storage", DeviceType::kBlock}}),
                   PodWithNetwork(), config));
  EXPECT_TRUE(devices[0].read_only);
}

TEST(DevicesTest, WhatIsMissingIsSaidWithHowToSupplyIt) {
  const auto unikernel = WithDevices(
      {{"service", DeviceType::kNet}, {"storage", DeviceType::kBlock}});
  const auto missing = MatchDevices(unikernel, PodWithNetwork(), {});
  EXPECT_THAT(missing, HasStatus(absl::StatusCode::kInvalidArgument,
                                 "ends in \"/storage\""));
  EXPECT_THAT(missing, HasStatus(absl::StatusCode::kInvalidArgument,
                                 "service (NET_BASIC), storage (BLOCK_BASIC)"));
}

TEST(DevicesTest, AVolumeThatIsNoDiskIsRefused) {
  const TempDir dir;
  runtime::v1::ContainerConfig config;
  auto* mount = config.add_mounts();
  mount->set_container_path("/storage");
  mount->set_host_path(dir.path());
  const auto unikernel = WithDevices({{"storage", DeviceType::kBlock}});
  EXPECT_THAT(MatchDevices(unikernel, PodWithNetwork(), config),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "neither a file nor a block device"));
  ASSERT_OK(WriteFileAtomic(dir / "odd", std::string(1000, 'x')));
  mount->set_host_path(dir / "odd");
  EXPECT_THAT(MatchDevices(unikernel, PodWithNetwork(), config),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "1000 bytes, which is no multiple"));
  mount->set_host_path(dir / "missing");
  EXPECT_THAT(MatchDevices(unikernel, PodWithNetwork(), config),
              HasStatus(absl::StatusCode::kInvalidArgument, "is not there"));
}

}  // namespace
}  // namespace serai::cri
