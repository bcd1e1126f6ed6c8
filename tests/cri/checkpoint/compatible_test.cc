// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/compatible.h"

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;

constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

oci::GuestDevice Device(const std::string& name, oci::GuestDevice::Type type,
                        bool read_only) {
  oci::GuestDevice device;
  device.name = name;
  device.type = type;
  device.path = "/volumes/" + name;
  device.read_only = read_only;
  return device;
}

TEST(CompatibleTest, AGuestThatMayWriteToAVolumeIsRefused) {
  using Type = oci::GuestDevice::Type;
  oci::RuntimeSpec guest;
  guest.devices = {Device("service", Type::kNet, false),
                   Device("config", Type::kBlock, true)};
  EXPECT_OK(CheckNothingIsWritten(guest));
  guest.devices.push_back(Device("storage", Type::kBlock, false));
  EXPECT_THAT(CheckNothingIsWritten(guest),
              HasStatus(kRefused, "device storage (/volumes/storage)"));
}

state::v1::PodNetwork Network() {
  state::v1::PodNetwork network;
  network.set_mac("02:00:00:00:00:01");
  network.set_mtu(1450);
  auto* address = network.add_addresses();
  address->set_address("10.0.0.5");
  address->set_prefix_length(24);
  address->set_gateway("10.0.0.1");
  return network;
}

TEST(CompatibleTest, AllThatAGuestKnowsOfItsNetworkIsCompared) {
  const state::v1::PodNetwork guest = Network();
  state::v1::PodNetwork pod = guest;
  // A guest never hears of it.
  pod.set_interface("eth1");
  EXPECT_OK(CheckSameNetwork(guest, pod));
  const auto refused = HasStatus(kRefused, "the guest has in its memory");
  pod.set_mac("02:00:00:00:00:02");
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
  pod = guest;
  pod.set_mtu(1500);
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
  pod = guest;
  pod.mutable_addresses(0)->set_address("10.0.0.6");
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
  pod = guest;
  pod.mutable_addresses(0)->set_prefix_length(16);
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
  pod = guest;
  pod.mutable_addresses(0)->set_gateway("10.0.0.2");
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
  pod = guest;
  pod.add_addresses()->set_address("fd00::5");
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
  pod.clear_addresses();
  EXPECT_THAT(CheckSameNetwork(guest, pod), refused);
}

TEST(CompatibleTest, TheImageAndTheMemoryAreTheGuests) {
  state::v1::ContainerCheckpoint then;
  then.set_image_id("sha256:a");
  then.set_guest_memory(64 << 20);
  oci::RuntimeSpec now;
  now.guest_memory = 64 << 20;
  EXPECT_OK(CheckSameGuest(then, "sha256:a", now));
  EXPECT_THAT(CheckSameGuest(then, "sha256:b", now),
              HasStatus(kInvalid, "that of the checkpoint sha256:a"));
  now.guest_memory = 32 << 20;
  EXPECT_THAT(CheckSameGuest(then, "sha256:a", now),
              HasStatus(kInvalid, "would have 33554432"));
  // Of a checkpoint that does not say.
  then.clear_guest_memory();
  EXPECT_OK(CheckSameGuest(then, "sha256:a", now));
}

}  // namespace
}  // namespace serai::cri
