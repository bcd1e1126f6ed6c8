// SPDX-License-Identifier: Apache-2.0
#pragma once

// The options about one device of the guest's manifest: --net:NAME=…,
// --net-mac:NAME=…, --net-mtu:NAME=…, --block:NAME=…,
// --block-sector-size:NAME=….

#include <cstdint>
#include <string_view>

#include "lib/solo5/abi.h"

namespace serai::tender {

struct DeviceOption {
  enum class Kind { kNet, kNetMac, kNetMtu, kBlock, kBlockSectorSize };

  Kind kind;
  const char* text;  // the whole argument, for messages
  std::string_view name;
  // kNet: an interface's name. kBlock: a path. Empty where `fd` is given.
  std::string_view path;
  int fd;          // kNet, kBlock: of @FD, else -1
  bool read_only;  // kBlock
  // kNetMtu, kBlockSectorSize. kNet: the MTU where it is known, else 0.
  uint32_t number;
  uint8_t mac[6];  // kNetMac
};

// Whether `argument` is one of these and well-formed; it then goes to *option,
// as views of `argument`.
bool ParseDeviceOption(const char* argument, DeviceOption* option);

}  // namespace serai::tender
