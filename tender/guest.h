// SPDX-License-Identifier: Apache-2.0
#pragma once

// A unikernel with all that it needs to run, ready for either target.

#include <cstdint>

#include "lib/solo5/unikernel.h"
#include "tender/devices.h"

namespace serai::tender {

struct Guest {
  int kernel_fd = -1;
  solo5::Unikernel unikernel;
  DeviceTable devices;
  uint64_t memory = 0;  // bytes
  bool executable_heap = false;
  int kvm_fd = -1;  // hvt: -1 where none was given
  char command_line[solo5::kMaxCommandLine];
};

}  // namespace serai::tender
