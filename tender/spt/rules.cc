// SPDX-License-Identifier: Apache-2.0
#include "tender/spt/rules.h"

#include "tender/policy/spt.h"

namespace serai::tender::spt {

using policy::Situation;
using policy::Slot;

Bindings BindPolicy(const DeviceTable& devices, const PolicyNumbers& numbers) {
  Bindings bindings(devices);
  bindings.Set(Slot::kEpollFd, numbers.epoll_fd)
      .Set(Slot::kTimerFd, numbers.timer_fd)
      .Set(Slot::kStubCall, numbers.stub_call);
  if (numbers.status_fd >= 0) {
    bindings.Have(Situation::kStatus).Set(Slot::kStatusFd, numbers.status_fd);
  }
  return bindings;
}

Filter MakeFilter(const Bindings& bindings) {
  using Policy = policy::Compiled<policy::kSptRules, policy::kTrap>;
  return Filter(Policy::kProgram, bindings);
}

}  // namespace serai::tender::spt
