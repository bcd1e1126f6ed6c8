// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tender/devices.h"
#include "tender/filter.h"

namespace serai::tender::spt {

// What an spt guest may ask of the kernel: the console, its clocks, sleeping
// until a device or the timer is ready, its thread pointer, its devices, and
// the end.
void AddRules(const DeviceTable& devices, int epoll_fd, int timer_fd,
              Filter* filter);

}  // namespace serai::tender::spt
