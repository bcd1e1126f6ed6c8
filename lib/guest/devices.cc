// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/devices.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
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

std::string LastPart(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::optional<GuestDevice> FindVolume(const std::vector<Volume>& volumes,
                                      const std::string& name) {
  const auto volume = std::find_if(
      volumes.begin(), volumes.end(),
      [&](const Volume& entry) { return LastPart(entry.place) == name; });
  if (volume == volumes.end()) return std::nullopt;
  GuestDevice found;
  found.name = name;
  found.type = GuestDevice::Type::kBlock;
  found.path = volume->path;
  found.read_only = volume->read_only;
  return found;
}

absl::StatusOr<GuestDevice> MatchBlock(const solo5::Unikernel& unikernel,
                                       const std::vector<Volume>& volumes,
                                       const std::string& name) {
  const std::optional<GuestDevice> volume = FindVolume(volumes, name);
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
                       MatchBlock(unikernel, attachments.volumes, name));
      devices.push_back(std::move(device));
    } else {
      return NothingToAttach(unikernel, name, "its type is not known");
    }
  }
  return devices;
}

}  // namespace serai::guest
