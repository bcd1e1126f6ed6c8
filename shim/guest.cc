// SPDX-License-Identifier: Apache-2.0
#include "shim/guest.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"
#include "lib/oci/rootfs.h"
#include "lib/solo5/unikernel.h"
#include "shim/block_device.h"
#include "shim/dhcp_responder.h"
#include "shim/namespace_visit.h"

namespace serai::shim {
namespace {

constexpr uint64_t kMib = 1 << 20;

// A tap that the last tender held is free as soon as the kernel has taken that
// process apart.
constexpr int kTapTries = 25;
constexpr absl::Duration kTapPause = absl::Milliseconds(10);

absl::StatusOr<UniqueFd> OpenUnikernel(int root, const std::string& path) {
  absl::StatusOr<oci::RootFile> file = oci::OpenRegularInRoot(root, path);
  if (file.ok()) return std::move(file->fd);
  // The image is at fault, not the caller's id: no NOT_FOUND.
  if (absl::IsNotFound(file.status()) ||
      absl::IsFailedPrecondition(file.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat("unikernel ", path, ": ", file.status().message()));
  }
  return Annotate(file.status(), absl::StrCat("unikernel ", path));
}

bool Matches(const solo5::ManifestEntry& wanted,
             const oci::GuestDevice& device) {
  const auto type = device.type == oci::GuestDevice::Type::kNet
                        ? solo5::DeviceType::kNet
                        : solo5::DeviceType::kBlock;
  return device.name == wanted.name && wanted.type == type;
}

std::string Listed(const solo5::Unikernel& unikernel) {
  std::string list;
  for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
    absl::StrAppend(&list, list.empty() ? "" : ", ", entry.name, " (",
                    solo5::DeviceTypeName(entry.type), ")");
  }
  return list.empty() ? "no device" : list;
}

std::string Attached(const std::vector<oci::GuestDevice>& devices) {
  std::string list;
  for (const oci::GuestDevice& device : devices) {
    const bool net = device.type == oci::GuestDevice::Type::kNet;
    absl::StrAppend(&list, list.empty() ? "" : ", ", device.name,
                    net ? " (net)" : " (block)");
  }
  return list.empty() ? "nothing" : list;
}

absl::Status MatchDevices(const solo5::Unikernel& unikernel,
                          const std::vector<oci::GuestDevice>& devices) {
  for (const solo5::ManifestEntry& entry : unikernel.Devices()) {
    const bool found = std::any_of(
        devices.begin(), devices.end(),
        [&](const oci::GuestDevice& device) { return Matches(entry, device); });
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat("the unikernel's device ", entry.name, " (",
                       solo5::DeviceTypeName(entry.type),
                       ") has nothing attached to it; its manifest lists ",
                       Listed(unikernel), "; attached: ", Attached(devices)));
    }
  }
  for (const oci::GuestDevice& device : devices) {
    const auto listed = unikernel.Devices();
    const bool found =
        std::any_of(listed.begin(), listed.end(),
                    [&](const auto& entry) { return Matches(entry, device); });
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat("device ", device.name,
                       " is attached, but the unikernel's manifest lists ",
                       Listed(unikernel)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemoryMib(const oci::RuntimeSpec& spec,
                                   const solo5::Unikernel& unikernel) {
  uint64_t bytes = 0;
  if (spec.guest_memory) {
    bytes = *spec.guest_memory;
  } else if (spec.resources.memory_limit.value_or(0) > 0) {
    bytes = static_cast<uint64_t>(*spec.resources.memory_limit);
  } else {
    return 0;
  }
  const bool hvt = unikernel.target == solo5::Target::kHvt;
  if (hvt && bytes > solo5::kHvtMaxMemory) {
    return absl::InvalidArgumentError(
        absl::StrCat("guest memory of ", bytes, " bytes: an hvt unikernel has ",
                     "at most ", solo5::kHvtMaxMemory));
  }
  bytes -= bytes % (hvt ? solo5::kHvtLargePage : kMib);
  if (bytes < unikernel.lowest_memory) {
    return absl::InvalidArgumentError(
        absl::StrCat("guest memory of ", bytes / kMib,
                     " MiB: this unikernel needs at least ",
                     unikernel.lowest_memory / kMib, " MiB to be loaded"));
  }
  return bytes / kMib;
}

// Attaches to the tap of that name in the network namespace we are in: the
// pod's or, as the device says, the node's.
absl::StatusOr<UniqueFd> OpenTap(const oci::GuestDevice& device) {
  const std::string what =
      absl::StrCat("net device ", device.name, ": tap ", device.tap);
  // Without this, TUNSETIFF would make one.
  if (::if_nametoindex(device.tap.c_str()) == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, ": there is none in the ",
        device.tap_on_node ? "node's" : "pod's", " network namespace"));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile("/dev/net/tun", O_RDWR | O_NONBLOCK));
  ifreq request = {};
  device.tap.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  for (int attempt = 1; ::ioctl(fd.get(), TUNSETIFF, &request) != 0;
       ++attempt) {
    if (errno != EBUSY || attempt == kTapTries) {
      return ErrnoStatus(errno, what);
    }
    absl::SleepFor(kTapPause);
  }
  return fd;
}

// Those on the node, or the others.
absl::Status OpenTaps(const oci::RuntimeSpec& spec, bool on_node,
                      Guest& guest) {
  for (size_t i = 0; i < spec.devices.size(); ++i) {
    if (spec.devices[i].type != oci::GuestDevice::Type::kNet ||
        spec.devices[i].tap_on_node != on_node) {
      continue;
    }
    ASSIGN_OR_RETURN(guest.devices[i], OpenTap(spec.devices[i]));
    if (!spec.devices[i].lease) continue;
    ASSIGN_OR_RETURN(guest.dhcp[i], OpenDhcpSocket(spec.devices[i].tap),
                     "net device ", spec.devices[i].name);
  }
  return absl::OkStatus();
}

// The shim itself may be in either namespace: under containerd it is the pod's
// sandbox.
absl::Status OpenAllTaps(const oci::RuntimeSpec& spec, int node_netns,
                         Guest& guest) {
  if (HasTapOnNode(spec)) {
    RETURN_IF_ERROR(
        InNetns(node_netns,
                [&] { return OpenTaps(spec, /*on_node=*/true, guest); }),
        "the node's network namespace");
  }
  const auto open = [&] { return OpenTaps(spec, /*on_node=*/false, guest); };
  return guest.netns.valid() ? InNetns(guest.netns.get(), open) : open();
}

absl::StatusOr<UniqueFd> OpenKvm() {
  absl::StatusOr<UniqueFd> kvm = OpenFile("/dev/kvm", O_RDWR);
  if (kvm.ok()) return kvm;
  return absl::FailedPreconditionError(
      absl::StrCat("an hvt unikernel needs KVM: ", kvm.status().message(),
                   "; an spt build of it would run here"));
}

}  // namespace

bool HasTapOnNode(const oci::RuntimeSpec& spec) {
  return std::any_of(
      spec.devices.begin(), spec.devices.end(),
      [](const oci::GuestDevice& device) { return device.tap_on_node; });
}

absl::StatusOr<Guest> OpenGuest(const oci::RuntimeSpec& spec, int root,
                                int node_netns) {
  Guest guest;
  ASSIGN_OR_RETURN(guest.kernel, OpenUnikernel(root, spec.unikernel_path()));
  // Some KiB: on the heap, which shrinks again.
  const auto unikernel = std::make_unique<solo5::Unikernel>();
  solo5::Error error;
  if (!solo5::ReadUnikernel(guest.kernel.get(), unikernel.get(), &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("unikernel ", spec.unikernel_path(), ": ", error.message));
  }
  guest.target = unikernel->target;
  RETURN_IF_ERROR(MatchDevices(*unikernel, spec.devices));
  ASSIGN_OR_RETURN(guest.memory_mib, MemoryMib(spec, *unikernel));
  if (guest.target == solo5::Target::kHvt) {
    ASSIGN_OR_RETURN(guest.kvm, OpenKvm());
  }
  if (!spec.network_namespace.empty()) {
    ASSIGN_OR_RETURN(guest.netns, host::OpenNetns(spec.network_namespace),
                     "the pod's network namespace");
  }
  guest.devices.resize(spec.devices.size());
  guest.dhcp.resize(spec.devices.size());
  for (size_t i = 0; i < spec.devices.size(); ++i) {
    if (spec.devices[i].type != oci::GuestDevice::Type::kBlock) continue;
    ASSIGN_OR_RETURN(guest.devices[i], OpenBlockDevice(spec.devices[i], root));
  }
  RETURN_IF_ERROR(OpenAllTaps(spec, node_netns, guest));
  return guest;
}

}  // namespace serai::shim
