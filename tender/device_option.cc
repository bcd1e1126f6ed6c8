// SPDX-License-Identifier: Apache-2.0
#include "tender/device_option.h"

#include <charconv>
#include <limits>

#include "tender/number.h"

namespace serai::tender {
namespace {

// An MTU below this cannot carry IPv4.
constexpr uint32_t kMinMtu = 68;
constexpr uint64_t kMaxUint16 = std::numeric_limits<uint16_t>::max();

bool ParseMac(std::string_view text, uint8_t (&mac)[6]) {
  if (text.size() != 17) return false;
  for (size_t i = 0; i < 6; ++i) {
    const char* digits = text.data() + 3 * i;
    const auto [rest, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc() || rest != digits + 2) return false;
    if (i < 5 && digits[2] != ':') return false;
  }
  return true;
}

// Splits "VALUE[:ro]" where a value may be @FD.
void ParsePlace(std::string_view value, DeviceOption* option) {
  constexpr std::string_view kReadOnly = ":ro";
  if (option->kind == DeviceOption::Kind::kBlock &&
      value.ends_with(kReadOnly)) {
    option->read_only = true;
    value.remove_suffix(kReadOnly.size());
  }
  option->fd = ParseFd(value);
  if (option->fd < 0) option->path = value;
}

bool ParseDeviceValue(std::string_view value, DeviceOption* option) {
  using Kind = DeviceOption::Kind;
  if (value.empty()) return false;
  uint64_t number = 0;
  switch (option->kind) {
    case Kind::kNet:
    case Kind::kBlock:
      ParsePlace(value, option);
      return option->fd >= 0 ||
             (!option->path.empty() && !option->path.starts_with('@'));
    case Kind::kNetMac:
      return ParseMac(value, option->mac);
    case Kind::kNetMtu:
      if (!ParseNumber(value, kMaxUint16, &number) || number < kMinMtu) {
        return false;
      }
      break;
    case Kind::kBlockSectorSize:
      if (!ParseNumber(value, kMaxUint16, &number)) return false;
      break;
  }
  option->number = static_cast<uint32_t>(number);
  return true;
}

}  // namespace

bool ParseDeviceOption(const char* argument, DeviceOption* option) {
  using Kind = DeviceOption::Kind;
  struct Prefix {
    std::string_view text;
    Kind kind;
  };
  static constexpr Prefix kPrefixes[] = {
      {"--net:", Kind::kNet},
      {"--net-mac:", Kind::kNetMac},
      {"--net-mtu:", Kind::kNetMtu},
      {"--block:", Kind::kBlock},
      {"--block-sector-size:", Kind::kBlockSectorSize},
  };
  const std::string_view text = argument;
  for (const Prefix& prefix : kPrefixes) {
    if (!text.starts_with(prefix.text)) continue;
    const std::string_view rest = text.substr(prefix.text.size());
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos || equals == 0 ||
        equals > solo5::kMaxDeviceName) {
      return false;
    }
    *option = {};
    option->kind = prefix.kind;
    option->text = argument;
    option->name = rest.substr(0, equals);
    option->fd = -1;
    return ParseDeviceValue(rest.substr(equals + 1), option);
  }
  return false;
}

}  // namespace serai::tender
