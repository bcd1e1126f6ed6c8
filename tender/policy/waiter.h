// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the process may do that waits for a tender in a PID namespace of its
// own (jail_waiter.h). It never meets the guest. rule.h explains the table.

#include <signal.h>

#include "tender/policy/rule.h"

namespace serai::tender::policy {

inline constexpr Rule kWaiterRules[] = {
    {.call = SYS_rt_sigtimedwait,
     .reason = "sleeps until a signal comes, the tender's end among them"},
    {.call = SYS_wait4,
     .where = {Argument(0) == Slot::kChildPid},
     .reason = "learns how the tender ended"},
    {.call = SYS_kill,
     .where = {Argument(0) == Slot::kChildPid},
     .reason = "passes a signal on"},
    {.call = SYS_kill,
     .where = {Argument(0) == Slot::kOwnPid},
     .reason = "dies of the signal that the tender died of"},
    {.call = SYS_rt_sigprocmask,
     .where = {Argument(0) == SIG_UNBLOCK},
     .reason = "lets it through"},
    {.call = SYS_exit_group, .reason = "ends with the tender's status"},
};

}  // namespace serai::tender::policy
