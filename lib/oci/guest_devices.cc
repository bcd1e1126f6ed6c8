// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/guest_devices.h"

#include <arpa/inet.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/oci/json_reader.h"

namespace serai::oci {
namespace {

constexpr size_t kMaxDevices = 63;  // a Solo5 manifest lists no more
constexpr uint32_t kMinMtu = 68;
constexpr uint32_t kMaxMtu = 65535;
// What has room in a DHCP answer.
constexpr size_t kMaxDnsServers = 8;
constexpr size_t kMaxHostname = 255;

// A name of the guest's manifest: what the tender's options can name.
bool IsDeviceName(absl::string_view name) {
  if (name.empty() || name.size() > 67) return false;
  for (const char c : name) {
    const bool alphanumeric = (c >= '0' && c <= '9') ||
                              (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alphanumeric) return false;
  }
  return true;
}

bool IsMac(absl::string_view mac) {
  if (mac.size() != 17) return false;
  for (size_t i = 0; i < mac.size(); ++i) {
    const char c = mac[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                     (c >= 'A' && c <= 'F');
    if (i % 3 == 2 ? c != ':' : !hex) return false;
  }
  return true;
}

bool IsIpv4(const std::string& text) {
  in_addr address = {};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

absl::Status ReadDnsServers(const Json& dhcp, DhcpLease& lease) {
  const Json* servers = Member(dhcp, "dns");
  if (servers == nullptr) return absl::OkStatus();
  if (!servers->is_array() || servers->size() > kMaxDnsServers) {
    return Bad("dhcp.dns", absl::StrCat("is no array of at most ",
                                        kMaxDnsServers, " addresses"));
  }
  for (const Json& server : *servers) {
    if (!server.is_string() || !IsIpv4(server.get_ref<const std::string&>())) {
      return Bad("dhcp.dns", "has what is no IPv4 address");
    }
    lease.dns_servers.push_back(server.get_ref<const std::string&>());
  }
  return absl::OkStatus();
}

absl::Status ReadLease(const Json& dhcp, DhcpLease& lease) {
  RETURN_IF_ERROR(ReadString(dhcp, "dhcp.", "address", lease.address));
  RETURN_IF_ERROR(ReadInteger<uint32_t>(dhcp, "dhcp.", "prefixLength",
                                        lease.prefix_length));
  RETURN_IF_ERROR(ReadString(dhcp, "dhcp.", "gateway", lease.gateway));
  RETURN_IF_ERROR(ReadString(dhcp, "dhcp.", "hostname", lease.hostname));
  RETURN_IF_ERROR(ReadDnsServers(dhcp, lease));
  if (!IsIpv4(lease.address)) {
    return Bad("dhcp.address", "is no IPv4 address");
  }
  if (!lease.gateway.empty() && !IsIpv4(lease.gateway)) {
    return Bad("dhcp.gateway", "is no IPv4 address");
  }
  if (lease.prefix_length > 32) {
    return Bad("dhcp.prefixLength", "is out of range");
  }
  if (lease.hostname.size() > kMaxHostname) {
    return Bad("dhcp.hostname", "is too long");
  }
  return absl::OkStatus();
}

Json LeaseJson(const DhcpLease& lease) {
  Json dhcp = {{"address", lease.address},
               {"prefixLength", lease.prefix_length}};
  if (!lease.gateway.empty()) dhcp["gateway"] = lease.gateway;
  if (!lease.dns_servers.empty()) dhcp["dns"] = lease.dns_servers;
  if (!lease.hostname.empty()) dhcp["hostname"] = lease.hostname;
  return dhcp;
}

absl::Status ReadNetDevice(const Json& entry, GuestDevice& device) {
  RETURN_IF_ERROR(ReadString(entry, "", "tap", device.tap));
  RETURN_IF_ERROR(ReadBool(entry, "", "onNode", device.tap_on_node));
  RETURN_IF_ERROR(ReadString(entry, "", "mac", device.mac));
  RETURN_IF_ERROR(ReadInteger<uint32_t>(entry, "", "mtu", device.mtu));
  // The kernel's limit for an interface's name, and what it refuses in one.
  if (device.tap.empty() || device.tap.size() > 15 ||
      device.tap.find('/') != std::string::npos) {
    return Bad("tap", "is no interface name");
  }
  if (!device.mac.empty() && !IsMac(device.mac)) {
    return Bad("mac", "is not of the form aa:bb:cc:dd:ee:ff");
  }
  if (device.mtu != 0 && (device.mtu < kMinMtu || device.mtu > kMaxMtu)) {
    return Bad("mtu", "is out of range");
  }
  const Json* dhcp = nullptr;
  RETURN_IF_ERROR(ReadObject(entry, "", "dhcp", dhcp));
  if (dhcp == nullptr) return absl::OkStatus();
  return ReadLease(*dhcp, device.lease.emplace());
}

absl::Status ReadBlockDevice(const Json& entry, GuestDevice& device) {
  RETURN_IF_ERROR(ReadString(entry, "", "path", device.path));
  RETURN_IF_ERROR(ReadBool(entry, "", "readonly", device.read_only));
  RETURN_IF_ERROR(ReadString(entry, "", "beneath", device.beneath));
  RETURN_IF_ERROR(ReadBool(entry, "", "inImage", device.in_image));
  if (device.path.empty() || device.path[0] != '/') {
    return Bad("path", "is not absolute");
  }
  if (!device.beneath.empty() &&
      device.path.rfind(device.beneath + "/", 0) != 0) {
    return Bad("beneath", "is no directory that the path is in");
  }
  if (device.in_image && !device.read_only) {
    return Bad("inImage", "of a device that can be written");
  }
  return absl::OkStatus();
}

absl::StatusOr<GuestDevice> ReadDevice(const Json& entry) {
  if (!entry.is_object()) return Bad("an entry", "is not an object");
  GuestDevice device;
  std::string type;
  RETURN_IF_ERROR(ReadString(entry, "", "name", device.name));
  RETURN_IF_ERROR(ReadString(entry, "", "type", type));
  if (!IsDeviceName(device.name)) {
    return Bad("name", "is not 1 to 67 letters and digits");
  }
  if (type == "net") {
    device.type = GuestDevice::Type::kNet;
    RETURN_IF_ERROR(ReadNetDevice(entry, device), device.name);
  } else if (type == "block") {
    device.type = GuestDevice::Type::kBlock;
    RETURN_IF_ERROR(ReadBlockDevice(entry, device), device.name);
  } else {
    return Bad(device.name + ": type", "is neither net nor block");
  }
  return device;
}

}  // namespace

absl::StatusOr<std::vector<GuestDevice>> ParseGuestDevices(
    absl::string_view text) {
  const std::optional<Json> json = ParseJson(text);
  if (!json || !json->is_array()) {
    return absl::InvalidArgumentError("not a JSON array");
  }
  if (json->size() > kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kMaxDevices, " devices"));
  }
  std::vector<GuestDevice> devices;
  std::set<std::string> names;
  for (const Json& entry : *json) {
    ASSIGN_OR_RETURN(GuestDevice device, ReadDevice(entry));
    if (!names.insert(device.name).second) {
      return Bad(device.name, "is there twice");
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

std::string ToJson(const std::vector<GuestDevice>& devices) {
  Json array = Json::array();
  for (const GuestDevice& device : devices) {
    Json entry = {{"name", device.name}};
    if (device.type == GuestDevice::Type::kNet) {
      entry["type"] = "net";
      entry["tap"] = device.tap;
      if (device.tap_on_node) entry["onNode"] = true;
      if (!device.mac.empty()) entry["mac"] = device.mac;
      if (device.mtu != 0) entry["mtu"] = device.mtu;
      if (device.lease) entry["dhcp"] = LeaseJson(*device.lease);
    } else {
      entry["type"] = "block";
      entry["path"] = device.path;
      entry["readonly"] = device.read_only;
      if (!device.beneath.empty()) entry["beneath"] = device.beneath;
      if (device.in_image) entry["inImage"] = true;
    }
    array.push_back(std::move(entry));
  }
  return Dump(array, -1);
}

}  // namespace serai::oci
