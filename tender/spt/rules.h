// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tender/devices.h"
#include "tender/filter.h"

namespace serai::tender::spt {

// What policy/spt.h leaves open, apart from the devices.
struct PolicyNumbers {
  int epoll_fd;
  int timer_fd;
  int status_fd;  // -1: there is none
  uint64_t stub_call;
};
Bindings BindPolicy(const DeviceTable& devices, const PolicyNumbers& numbers);

// The filter of an spt guest.
Filter MakeFilter(const Bindings& bindings);

}  // namespace serai::tender::spt
