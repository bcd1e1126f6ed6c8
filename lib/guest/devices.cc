// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/devices.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

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
                                       const std::string& name,
                                       TarBudget& budget) {
  absl::StatusOr<GuestDevice> device = FindBlockDevice(name, sources, budget);
  if (absl::IsInvalidArgument(device.status())) {
    return NothingToAttach(unikernel, name, device.status().message());
  }
  RETURN_IF_ERROR(device.status(), "device \"", name, "\"");
  return device;
}

// "eth0, net1"; "none".
std::string Listed(const std::vector<TakenInterface>& interfaces) {
  std::vector<std::string> names;
  for (const TakenInterface& interface : interfaces) {
    names.push_back(interface.name);
  }
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

// The pod's interfaces, until somebody has them.
class FreeInterfaces {
 public:
  explicit FreeInterfaces(const std::vector<TakenInterface>& all) : all_(all) {}

  // Null when there is none of that name, or it is taken.
  const TakenInterface* Take(absl::string_view name) {
    for (size_t i = 0; i < all_.size(); ++i) {
      if (all_[i].name == name && taken_.insert(i).second) return &all_[i];
    }
    return nullptr;
  }
  const TakenInterface* TakeNext() {
    for (size_t i = 0; i < all_.size(); ++i) {
      if (taken_.insert(i).second) return &all_[i];
    }
    return nullptr;
  }

 private:
  const std::vector<TakenInterface>& all_;
  std::set<size_t> taken_;
};

GuestDevice NetDevice(const std::string& name,
                      const TakenInterface& interface) {
  GuestDevice device;
  device.name = name;
  device.type = GuestDevice::Type::kNet;
  device.tap = interface.tap;
  device.tap_on_node = interface.tap_on_node;
  device.mac = interface.mac;
  device.mtu = interface.mtu;
  return device;
}

using NetDevices = std::map<std::string, GuestDevice>;

// Those that have an annotation come first, whatever their place.
absl::StatusOr<NetDevices> MatchNets(const solo5::Unikernel& unikernel,
                                     const Attachments& attachments) {
  NetDevices matched;
  FreeInterfaces free(attachments.interfaces);
  for (const bool named : {true, false}) {
    for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
      if (entry.type != solo5::DeviceType::kNet) continue;
      const std::string name = entry.name;
      const std::string key = absl::StrCat(kPodAnnotationNet, name);
      const auto annotation = attachments.annotations.find(key);
      if ((annotation != attachments.annotations.end()) != named) continue;
      const TakenInterface* const interface =
          named ? free.Take(annotation->second) : free.TakeNext();
      if (interface != nullptr) {
        matched[name] = NetDevice(name, *interface);
      } else if (named) {
        return NothingToAttach(
            unikernel, name,
            absl::StrCat("annotation ", key, " wants interface \"",
                         annotation->second,
                         "\", which the pod has not, or another device has; "
                         "the pod's interfaces: ",
                         Listed(attachments.interfaces)));
      } else {
        return NothingToAttach(
            unikernel, name,
            absl::StrCat("the pod has no interface left for it (",
                         Listed(attachments.interfaces),
                         "); give the pod another network, or build the "
                         "unikernel with fewer network devices"));
      }
    }
  }
  return matched;
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
  ASSIGN_OR_RETURN(NetDevices nets, MatchNets(unikernel, attachments));
  std::vector<GuestDevice> devices;
  TarBudget budget;
  for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
    const std::string name = entry.name;
    if (entry.type == solo5::DeviceType::kNet) {
      devices.push_back(std::move(nets[name]));
    } else if (entry.type == solo5::DeviceType::kBlock) {
      ASSIGN_OR_RETURN(GuestDevice device,
                       MatchBlock(unikernel, attachments.blocks, name, budget));
      devices.push_back(std::move(device));
    } else {
      return NothingToAttach(unikernel, name, "its type is not known");
    }
  }
  return devices;
}

const TakenInterface* InterfaceOf(const GuestDevice& device,
                                  const Attachments& attachments) {
  if (device.type != GuestDevice::Type::kNet) return nullptr;
  for (const TakenInterface& interface : attachments.interfaces) {
    if (interface.tap == device.tap) return &interface;
  }
  return nullptr;
}

std::vector<DeviceNetwork> NetworksOf(const std::vector<GuestDevice>& devices,
                                      const Attachments& attachments) {
  std::vector<DeviceNetwork> networks;
  for (const GuestDevice& device : devices) {
    const TakenInterface* const interface = InterfaceOf(device, attachments);
    if (interface == nullptr) continue;
    networks.push_back({device.name, interface->addresses});
  }
  return networks;
}

std::vector<std::string> UnusedNetworks(const std::vector<GuestDevice>& devices,
                                        const Attachments& attachments) {
  std::vector<std::string> sentences;
  std::set<std::string> taps;
  std::set<std::string> names;
  for (const GuestDevice& device : devices) {
    if (device.type != GuestDevice::Type::kNet) continue;
    taps.insert(device.tap);
    names.insert(device.name);
  }
  for (const TakenInterface& interface : attachments.interfaces) {
    if (taps.empty() || taps.count(interface.tap) > 0) continue;
    sentences.push_back(absl::StrCat("the pod's interface ", interface.name,
                                     " has no device of the unikernel's: "
                                     "nobody answers there"));
  }
  for (const auto& [key, value] : attachments.annotations) {
    absl::string_view name = key;
    if (!absl::ConsumePrefix(&name, kPodAnnotationNet)) continue;
    if (names.count(std::string(name)) > 0) continue;
    sentences.push_back(absl::StrCat("annotation ", key,
                                     " is for a network device that the "
                                     "unikernel has not"));
  }
  return sentences;
}

}  // namespace serai::guest
