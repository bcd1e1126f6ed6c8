// SPDX-License-Identifier: Apache-2.0
#pragma once

// A unikernel with all that it needs to run, ready for either target.

#include <cstdint>

#include "lib/solo5/unikernel.h"
#include "tender/devices.h"
#include "tender/options.h"

namespace serai::tender {

namespace hvt {
struct Snapshot;
}  // namespace hvt

struct Guest {
  int kernel_fd = -1;
  solo5::Unikernel unikernel;
  DeviceTable devices;
  uint64_t memory = 0;  // bytes
  // Bytes that follow it for the network ring (hvt); 0 where there is none.
  uint64_t ring_size = 0;
  // /proc/self/pagemap where core files or snapshots may be wanted; -1 where
  // they are not, or where it does not open.
  int page_map_fd = -1;
  const Options* options = nullptr;  // as given; never null
  // What this guest goes on with (hvt); null where it starts.
  const hvt::Snapshot* snapshot = nullptr;
  char command_line[solo5::kMaxCommandLine];
};

}  // namespace serai::tender
