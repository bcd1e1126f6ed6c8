// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an spt guest may ask of the kernel. It makes its system calls itself.
// rule.h explains the table.

#include <asm/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "tender/policy/rule.h"

namespace serai::tender::policy {

inline constexpr Rule kSptRules[] = {
    {.call = SYS_clock_gettime,
     .where = {Argument(0) == CLOCK_MONOTONIC},
     .reason = "the clock that guests sleep by"},
    {.call = SYS_clock_gettime,
     .where = {Argument(0) == CLOCK_REALTIME},
     .reason = "the time of day"},

    {.call = SYS_read,
     .situation = Situation::kNetDevice,
     .where = {Argument(0) == Slot::kDeviceFd},
     .reason = "receives a frame"},
    {.call = SYS_write,
     .situation = Situation::kNetDevice,
     .where = {Argument(0) == Slot::kDeviceFd},
     .reason = "sends a frame"},
    {.call = SYS_epoll_pwait,
     .where = {Argument(0) == Slot::kEpollFd, Argument(4) == 0},
     .reason = "sleeps until a frame or the timer comes; with no signal mask, "
               "with which it could wait for ever and SIGTERM with it"},
    {.call = SYS_timerfd_settime,
     .where = {Argument(0) == Slot::kTimerFd},
     .reason = "sets when that sleep ends"},

    {.call = SYS_pread64,
     .situation = Situation::kBlockDevice,
     .where = {Argument(0) == Slot::kDeviceFd, Argument(2) == Slot::kBlockSize,
               Argument(3) <= Slot::kLastBlock},
     .reason = "reads one block within the device"},
    {.call = SYS_pwrite64,
     .situation = Situation::kWritableBlockDevice,
     .where = {Argument(0) == Slot::kDeviceFd, Argument(2) == Slot::kBlockSize,
               Argument(3) <= Slot::kLastBlock},
     .reason = "writes one block within the device"},
    {.call = SYS_pwrite64,
     .situation = Situation::kReadOnlyBlockDevice,
     .where = {Argument(0) == Slot::kDeviceFd},
     .verdict = FailWith(EROFS),
     .reason = "a guest that tries is told, not ended: it may go on"},

    {.call = SYS_write,
     .where = {Argument(0) == STDOUT_FILENO},
     .reason = "the console"},
    {.call = SYS_arch_prctl,
     .where = {Argument(0) == ARCH_SET_FS},
     .reason = "sets its thread pointer"},
    {.call = SYS_exit_group, .reason = "ends"},
};

}  // namespace serai::tender::policy
