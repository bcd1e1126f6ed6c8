// SPDX-License-Identifier: Apache-2.0
#include "tender/policy/waiter.h"

#include <signal.h>
#include <sys/syscall.h>

#include "gtest/gtest.h"
#include "tender/filter.h"
#include "tests/tender/policy/policy_model.h"

namespace serai::testing {
namespace {

using tender::policy::kKill;
using tender::policy::Slot;

constexpr int kOwn = 4711;
constexpr int kChild = 4712;

TEST(WaiterPolicyTest, AllowsToWaitAndToPassSignalsOn) {
  using Policy = tender::policy::Compiled<tender::policy::kWaiterRules, kKill>;
  tender::Bindings bindings;
  bindings.Set(Slot::kOwnPid, kOwn).Set(Slot::kChildPid, kChild);
  const PolicyModel model({{SYS_rt_sigtimedwait},
                           {SYS_wait4, {{0, Only(kChild)}}},
                           {SYS_kill, {{0, Only(kChild)}}},
                           {SYS_kill, {{0, Only(kOwn)}}},
                           {SYS_rt_sigprocmask, {{0, Only(SIG_UNBLOCK)}}},
                           {SYS_exit_group}},
                          kKill);
  model.ExpectFollowedBy(tender::Filter(Policy::kProgram, bindings).Code());
}

}  // namespace
}  // namespace serai::testing
