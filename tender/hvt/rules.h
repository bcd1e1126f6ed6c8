// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tender/devices.h"
#include "tender/filter.h"

namespace serai::tender::hvt {

// What the tender itself may ask of the kernel once an hvt guest runs.
void AddRules(const DeviceTable& devices, int epoll_fd, int vcpu_fd,
              Filter* filter);

}  // namespace serai::tender::hvt
