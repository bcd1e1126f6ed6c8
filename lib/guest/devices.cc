// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/devices.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_join.h"

namespace serai::guest {
namespace {

using oci::GuestDevice;

// "service (NET_BASIC), storage (BLOCK_BASIC)".
std::string Listed(const solo5::Unikernel& unikernel) {
  std::vector<std::string> names;
  for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
    names.push_back(
        absl::StrCat(entry.name, " (", solo5::DeviceTypeName(entry.type), ")"));
  }
  return absl::StrJoin(names, ", ");
}

absl::Status NothingToAttach(const solo5::Unikernel& unikernel,
                             const std::string& name, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("device \"", name, "\" has nothing to attach: ", why,
                   ". The unikernel's manifest lists: ", Listed(unikernel)));
}

absl::StatusOr<GuestDevice> MatchBlock(const solo5::Unikernel& unikernel,
                                       const BlockSources& sources,
                                       const std::string& name) {
  absl::StatusOr<GuestDevice> device = FindBlockDevice(name, sources);
  if (absl::IsInvalidArgument(device.status())) {
    return NothingToAttach(unikernel, name, device.status().message());
  }
  RETURN_IF_ERROR(device.status(), "device \"", name, "\"");
  return device;
}

}  // namespace

bool WantsNetwork(const solo5::Unikernel& unikernel) {
  const auto devices = unikernel.Devices();
  return std::any_of(devices.begin(), devices.end(), [](const auto& entry) {
    return entry.type == solo5::DeviceType::kNet;
  });
}

absl::StatusOr<std::vector<GuestDevice>> MatchDevices(
    const solo5::Unikernel& unikernel, const Attachments& attachments) {
  std::vector<GuestDevice> devices;
  std::string interface_user;
  for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
    const std::string name = entry.name;
    if (entry.type == solo5::DeviceType::kNet) {
      if (!interface_user.empty()) {
        return NothingToAttach(
            unikernel, name,
            absl::StrCat("a pod has one interface, and \"", interface_user,
                         "\" has it; build the unikernel with one network "
                         "device"));
      }
      interface_user = name;
      GuestDevice device;
      device.name = name;
      device.type = GuestDevice::Type::kNet;
      device.tap = attachments.interface.tap;
      device.mac = attachments.interface.mac;
      device.mtu = attachments.interface.mtu;
      devices.push_back(std::move(device));
    } else if (entry.type == solo5::DeviceType::kBlock) {
      ASSIGN_OR_RETURN(GuestDevice device,
                       MatchBlock(unikernel, attachments.blocks, name));
      devices.push_back(std::move(device));
    } else {
      return NothingToAttach(unikernel, name, "its type is not known");
    }
  }
  return devices;
}

}  // namespace serai::guest
