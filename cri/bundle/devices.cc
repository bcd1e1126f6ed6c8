// SPDX-License-Identifier: Apache-2.0
#include "cri/bundle/devices.h"

#include <sys/stat.h>

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"

namespace serai::cri {
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

std::string LastPart(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

// A volume of the container by the device's name: from volumeDevices, else
// from volumeMounts.
std::optional<GuestDevice> FindVolume(
    const runtime::v1::ContainerConfig& container, const std::string& name) {
  GuestDevice found;
  found.name = name;
  found.type = GuestDevice::Type::kBlock;
  for (const auto& device : container.devices()) {
    if (LastPart(device.container_path()) != name) continue;
    found.path = device.host_path();
    found.read_only = !absl::StrContains(device.permissions(), 'w');
    return found;
  }
  for (const auto& mount : container.mounts()) {
    if (LastPart(mount.container_path()) != name) continue;
    found.path = mount.host_path();
    found.read_only = mount.readonly();
    return found;
  }
  return std::nullopt;
}

absl::StatusOr<GuestDevice> MatchBlock(
    const solo5::Unikernel& unikernel,
    const runtime::v1::ContainerConfig& container, const std::string& name) {
  const std::optional<GuestDevice> volume = FindVolume(container, name);
  if (!volume) {
    return NothingToAttach(
        unikernel, name,
        absl::StrCat("give the container a volume whose devicePath or "
                     "mountPath ends in \"/",
                     name, "\""));
  }
  struct stat st = {};
  if (::stat(volume->path.c_str(), &st) != 0) {
    return NothingToAttach(
        unikernel, name,
        absl::StrCat("its volume ", volume->path, " is not there"));
  }
  if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
    return NothingToAttach(
        unikernel, name,
        absl::StrCat("its volume ", volume->path,
                     " is neither a file nor a block device"));
  }
  if (S_ISREG(st.st_mode) &&
      (st.st_size == 0 || st.st_size % solo5::kDefaultBlockSize != 0)) {
    return NothingToAttach(
        unikernel, name,
        absl::StrCat("its volume ", volume->path, " has ", st.st_size,
                     " bytes, which is no multiple of the block size, ",
                     solo5::kDefaultBlockSize));
  }
  return *volume;
}

}  // namespace

absl::StatusOr<std::vector<GuestDevice>> MatchDevices(
    const solo5::Unikernel& unikernel, const state::v1::PodRecord& pod,
    const runtime::v1::ContainerConfig& container) {
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
      device.tap = pod.tap();
      device.mac = pod.network().mac();
      device.mtu = pod.network().mtu();
      devices.push_back(std::move(device));
    } else if (entry.type == solo5::DeviceType::kBlock) {
      ASSIGN_OR_RETURN(GuestDevice device,
                       MatchBlock(unikernel, container, name));
      devices.push_back(std::move(device));
    } else {
      return NothingToAttach(unikernel, name, "its type is not known");
    }
  }
  return devices;
}

}  // namespace serai::cri
