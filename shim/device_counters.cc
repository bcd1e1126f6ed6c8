// SPDX-License-Identifier: Apache-2.0
#include "shim/device_counters.h"

#include "lib/host/link_counters.h"

namespace serai::shim {
namespace {

using Json = nlohmann::json;

uint64_t NumberIn(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned()
             ? found->get<uint64_t>()
             : 0;
}

// The member of "devices" with that name; null when there is none.
const Json* DeviceIn(const Json& line, const std::string& name) {
  const auto stats = line.find("stats");
  if (stats == line.end() || !stats->is_object()) return nullptr;
  const auto devices = stats->find("devices");
  if (devices == stats->end() || !devices->is_array()) return nullptr;
  for (const Json& device : *devices) {
    if (device.is_object() && device.value("name", Json()) == name) {
      return &device;
    }
  }
  return nullptr;
}

}  // namespace

// What a tap sends is what its guest receives.
void AddNetCounters(const std::vector<oci::GuestDevice>& devices, bool on_node,
                    absl::string_view net_dev, v1::DevicesResponse& response) {
  for (const oci::GuestDevice& device : devices) {
    if (device.type != oci::GuestDevice::Type::kNet ||
        device.tap_on_node != on_node) {
      continue;
    }
    const auto link = host::ParseLinkCounters(net_dev, device.tap);
    if (!link.ok()) continue;
    const host::TrafficCounters& from_guest = link->received;
    const host::TrafficCounters& to_guest = link->sent;
    v1::DeviceCounters& counters = *response.add_devices();
    counters.set_name(device.name);
    counters.set_type("net");
    counters.set_received(to_guest.packets);
    counters.set_received_bytes(to_guest.bytes);
    counters.set_sent(from_guest.packets);
    counters.set_sent_bytes(from_guest.bytes);
    counters.set_failed(to_guest.errors + to_guest.dropped + from_guest.errors +
                        from_guest.dropped);
  }
}

void AddBlockCounters(const std::vector<oci::GuestDevice>& devices,
                      const Json& line, v1::DevicesResponse& response) {
  for (const oci::GuestDevice& device : devices) {
    if (device.type != oci::GuestDevice::Type::kBlock) continue;
    const Json* const said = DeviceIn(line, device.name);
    if (said == nullptr) continue;
    v1::DeviceCounters& counters = *response.add_devices();
    counters.set_name(device.name);
    counters.set_type("block");
    counters.set_received(NumberIn(*said, "reads"));
    counters.set_received_bytes(NumberIn(*said, "bytes_read"));
    counters.set_sent(NumberIn(*said, "writes"));
    counters.set_sent_bytes(NumberIn(*said, "bytes_written"));
    counters.set_failed(NumberIn(*said, "refused"));
  }
}

}  // namespace serai::shim
