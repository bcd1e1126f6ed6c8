// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an spt guest may ask of the kernel. It makes its system calls itself.
// What is not allowed raises SIGSYS, for which the stub (spt/stub.h) has a
// handler: it says which call that was and dies. Should the handler not come to
// that, because the guest has spoilt its stack, the kernel kills the process:
// the signal is then one that cannot be delivered.
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

    {.call = SYS_exit_group,
     .where = {kInstructionPointer == Slot::kStubCall},
     .reason = "ends, once the stub has said how"},
    {.call = SYS_exit_group,
     .situation = Situation::kStatus,
     .verdict = kTrap,
     .reason = "somebody wants to be told with what status"},
    {.call = SYS_exit_group, .where = {Argument(0) == 0}, .reason = "ends"},
    {.call = SYS_exit_group,
     .where = {Argument(0) == 255},
     .verdict = kTrap,
     .reason = "the guest gave up, which is worth a line"},
    {.call = SYS_exit_group,
     .where = {HasNoneOf(Argument(0), 255)},
     .verdict = kTrap,
     .reason = "the kernel would make a success of this failure"},
    {.call = SYS_exit_group, .reason = "ends"},

    // A guest that finds the stub can make these as well. It can then write
    // what is not true and end.
    {.call = SYS_ppoll,
     .where = {Argument(1) == 1, Argument(3) == 0,
               kInstructionPointer == Slot::kStubCall},
     .reason = "the stub does not wait for long for a reader of what follows; "
               "with no signal mask, like the guest's sleep"},
    {.call = SYS_write,
     .where = {Argument(0) == STDERR_FILENO,
               kInstructionPointer == Slot::kStubCall},
     .reason = "the stub says what the guest died of"},
    {.call = SYS_write,
     .situation = Situation::kStatus,
     .where = {Argument(0) == Slot::kStatusFd,
               kInstructionPointer == Slot::kStubCall},
     .reason = "the stub tells so the program that started the tender"},
    {.call = SYS_rt_sigreturn,
     .where = {kInstructionPointer == Slot::kStubCall},
     .verdict = kKill,
     .reason = "so dies who made a forbidden call: no signal handler returns"},
};

}  // namespace serai::tender::policy
