// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/rules.h"

#include "tender/policy/hvt.h"
#include "tender/report.h"
#include "tender/requests.h"

namespace serai::tender::hvt {

using policy::Situation;
using policy::Slot;

Bindings BindPolicy(const DeviceTable& devices, int epoll_fd, int vcpu_fd) {
  Bindings bindings(devices);
  bindings.Set(Slot::kVcpuFd, vcpu_fd)
      .Set(Slot::kEpollFd, epoll_fd)
      .Set(Slot::kRequestFd, RequestEvent());
  if (StatusFd() >= 0) {
    bindings.Have(Situation::kStatus).Set(Slot::kStatusFd, StatusFd());
  }
  return bindings;
}

Filter MakeFilter(const Bindings& bindings) {
  using Policy = policy::Compiled<policy::kHvtRules, policy::kKill>;
  return Filter(Policy::kProgram, bindings);
}

}  // namespace serai::tender::hvt
