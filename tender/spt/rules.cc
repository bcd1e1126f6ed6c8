// SPDX-License-Identifier: Apache-2.0
#include "tender/spt/rules.h"

#include "tender/policy/spt.h"

namespace serai::tender::spt {

using policy::Slot;

Bindings BindPolicy(const DeviceTable& devices, int epoll_fd, int timer_fd) {
  Bindings bindings(devices);
  bindings.Set(Slot::kEpollFd, epoll_fd).Set(Slot::kTimerFd, timer_fd);
  return bindings;
}

Filter MakeFilter(const Bindings& bindings) {
  using Policy = policy::Compiled<policy::kSptRules, policy::kKill>;
  return Filter(Policy::kProgram, bindings);
}

}  // namespace serai::tender::spt
