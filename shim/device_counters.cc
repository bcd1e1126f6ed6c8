// SPDX-License-Identifier: Apache-2.0
#include "shim/device_counters.h"

#include <array>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace serai::shim {
namespace {

using Json = nlohmann::json;

// The columns of /proc/net/dev: eight of what was received, eight of what was
// sent, each beginning with bytes, packets, errors, dropped.
constexpr size_t kColumns = 16;
constexpr size_t kSent = 8;
enum Column : size_t { kBytes, kPackets, kErrors, kDropped };

using Columns = std::array<uint64_t, kColumns>;

std::optional<Columns> ColumnsOf(absl::string_view net_dev,
                                 absl::string_view link) {
  for (const absl::string_view line : absl::StrSplit(net_dev, '\n')) {
    const size_t colon = line.rfind(':');
    if (colon == absl::string_view::npos ||
        absl::StripAsciiWhitespace(line.substr(0, colon)) != link) {
      continue;
    }
    const std::vector<absl::string_view> words =
        absl::StrSplit(line.substr(colon + 1), ' ', absl::SkipEmpty());
    Columns columns = {};
    for (size_t i = 0; i < columns.size() && i < words.size(); ++i) {
      if (!absl::SimpleAtoi(words[i], &columns[i])) return std::nullopt;
    }
    return columns;
  }
  return std::nullopt;
}

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
void AddNetCounters(const std::vector<oci::GuestDevice>& devices,
                    absl::string_view net_dev, v1::DevicesResponse& response) {
  for (const oci::GuestDevice& device : devices) {
    if (device.type != oci::GuestDevice::Type::kNet) continue;
    const std::optional<Columns> columns = ColumnsOf(net_dev, device.tap);
    if (!columns) continue;
    const uint64_t* const from_guest = columns->data();
    const uint64_t* const to_guest = columns->data() + kSent;
    v1::DeviceCounters& counters = *response.add_devices();
    counters.set_name(device.name);
    counters.set_type("net");
    counters.set_received(to_guest[kPackets]);
    counters.set_received_bytes(to_guest[kBytes]);
    counters.set_sent(from_guest[kPackets]);
    counters.set_sent_bytes(from_guest[kBytes]);
    counters.set_failed(to_guest[kErrors] + to_guest[kDropped] +
                        from_guest[kErrors] + from_guest[kDropped]);
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
