// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a guest's devices are attached to, and its form in the annotation
// `dev.serai.devices`: a JSON array. Pure functions, any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::oci {

// What a guest that asks by DHCP is told of its network. Addresses are IPv4's,
// as dotted quads.
struct DhcpLease {
  std::string address;
  uint32_t prefix_length = 0;
  std::string gateway;  // empty: none; it may be outside of the network
  std::vector<std::string> dns_servers;
  std::string hostname;  // empty: none

  bool operator==(const DhcpLease&) const = default;
};

// What is attached to the device of that name in the guest's manifest.
struct GuestDevice {
  enum class Type { kNet, kBlock };

  std::string name;
  Type type = Type::kNet;

  // kNet: a persistent tap in the pod's network namespace, and what the guest
  // is told of it.
  std::string tap;
  bool tap_on_node = false;        // "onNode": in the node's namespace instead
  std::string mac;                 // aa:bb:cc:dd:ee:ff
  uint32_t mtu = 0;                // 0: the tender's default
  std::optional<DhcpLease> lease;  // nothing: DHCP is left alone

  // kBlock: a file or block device of the host, absolute.
  std::string path;
  // A directory that `path` is below: what is in it is not to be trusted, and
  // the file is opened so that nothing leads out of it. Empty: `path` is the
  // host's own.
  std::string beneath;
  // `path` is a file of the image.
  bool in_image = false;
  bool read_only = false;

  bool operator==(const GuestDevice&) const = default;
};

// INVALID_ARGUMENT when `text` is no array of at most 63 such devices with
// different names.
absl::StatusOr<std::vector<GuestDevice>> ParseGuestDevices(
    absl::string_view text);

// In one line; what ParseGuestDevices() reads back as an equal value.
std::string ToJson(const std::vector<GuestDevice>& devices);

}  // namespace serai::oci
