// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tender/devices.h"
#include "tender/filter.h"

namespace serai::tender::hvt {

// What policy/hvt.h leaves open, but for what later features Have().
Bindings BindPolicy(const DeviceTable& devices, int epoll_fd, int vcpu_fd);

// The filter of a tender that runs an hvt guest.
Filter MakeFilter(const Bindings& bindings);

}  // namespace serai::tender::hvt
