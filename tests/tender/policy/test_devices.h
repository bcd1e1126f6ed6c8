// SPDX-License-Identifier: Apache-2.0
#pragma once

// Devices for tests of policies: a tap, a disk and a read-only disk.

#include <cstdint>

#include "tender/devices.h"

namespace serai::testing {

inline constexpr int kNetFd = 20;
inline constexpr int kDiskFd = 21;
inline constexpr int kReadOnlyDiskFd = 22;
inline constexpr uint16_t kBlockSize = 4096;
// Not a round number in either half, so that both halves are compared.
inline constexpr uint64_t kCapacity = 0x5'0000'8000;

inline tender::DeviceTable TestDevices() {
  tender::DeviceTable devices;
  devices[1].kind = tender::Device::Kind::kNet;
  devices[1].fd = kNetFd;
  devices[2].kind = tender::Device::Kind::kBlock;
  devices[2].fd = kDiskFd;
  devices[2].block_size = kBlockSize;
  devices[2].capacity = kCapacity;
  devices[3] = devices[2];
  devices[3].fd = kReadOnlyDiskFd;
  devices[3].read_only = true;
  return devices;
}

// As many as there can be, from descriptor 100 on.
inline constexpr int kFirstOfMany = 100;
inline tender::DeviceTable ManyDevices(const tender::Device& like) {
  tender::DeviceTable devices;
  for (size_t i = 1; i < devices.size(); ++i) {
    devices[i] = like;
    devices[i].fd = kFirstOfMany + static_cast<int>(i) - 1;
  }
  return devices;
}

}  // namespace serai::testing
