// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tender/devices.h"
#include "tender/filter.h"

namespace serai::tender::spt {

// What policy/spt.h leaves open.
Bindings BindPolicy(const DeviceTable& devices, int epoll_fd, int timer_fd);

// The filter of an spt guest.
Filter MakeFilter(const Bindings& bindings);

}  // namespace serai::tender::spt
