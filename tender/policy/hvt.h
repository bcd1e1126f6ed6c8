// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the tender may ask of the kernel while an hvt guest runs. The guest
// itself makes no system calls: this is what a guest can do that has taken the
// tender over. rule.h explains the table.

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include "tender/policy/rule.h"

namespace serai::tender::policy {

// Two of KVM's requests as the kernel knows them: the header's own macros count
// sizes that differ in C++.
inline constexpr unsigned long kKvmGetMsrs = _IOWR(KVMIO, 0x88, uint64_t);
struct XsaveRegion {
  uint32_t words[1024];
};
inline constexpr unsigned long kKvmGetXsave = _IOR(KVMIO, 0xa4, XsaveRegion);

// How core files and snapshots are made: never over what is there.
inline constexpr int kNewFile =
    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
// How the tender takes in a directory that it is handed.
inline constexpr int kReceiveDirectory = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
// A guest's memory may hold its secrets.
inline constexpr mode_t kNewFileMode = 0600;

inline constexpr Rule kHvtRules[] = {
    {.call = SYS_ioctl,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_RUN},
     .reason = "lets the guest run until it wants something"},
    {.call = SYS_ioctl,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_GET_SREGS},
     .reason = "fetches the registers that an exit does not always bring"},

    {.call = SYS_read,
     .situation = Situation::kNetDevice,
     .where = {Argument(0) == Slot::kDeviceFd},
     .reason = "receives a frame for the guest"},
    {.call = SYS_write,
     .situation = Situation::kNetDevice,
     .where = {Argument(0) == Slot::kDeviceFd},
     .reason = "sends a frame of the guest's"},
    {.call = SYS_epoll_pwait2,
     .where = {Argument(0) == Slot::kEpollFd, Argument(4) == 0},
     .reason = "lets the guest sleep until a frame comes or its time is up; "
               "with no signal mask, so that it can be ended"},

    {.call = SYS_epoll_ctl,
     .situation = Situation::kNetDevice,
     .where = {Argument(0) == Slot::kEpollFd, Argument(1) == EPOLL_CTL_DEL,
               Argument(2) == Slot::kDeviceFd},
     .reason = "keeps a device that is gone from waking the guest for ever"},

    {.call = SYS_pread64,
     .situation = Situation::kBlockDevice,
     .where = {Argument(0) == Slot::kDeviceFd, Argument(3) <= Slot::kLastByte},
     .reason = "reads blocks for the guest"},
    {.call = SYS_pwrite64,
     .situation = Situation::kWritableBlockDevice,
     .where = {Argument(0) == Slot::kDeviceFd, Argument(3) <= Slot::kLastByte},
     .reason = "writes blocks of the guest's"},

    {.call = SYS_clock_gettime,
     .where = {Argument(0) == CLOCK_MONOTONIC},
     .reason = "tells how long the guest slept, where the kernel's clock page "
               "does not"},
    {.call = SYS_clock_gettime,
     .where = {Argument(0) == CLOCK_REALTIME},
     .reason = "tells the guest the time of day, likewise"},
    {.call = SYS_write,
     .where = {Argument(0) == STDOUT_FILENO},
     .reason = "prints what the guest says"},
    {.call = SYS_restart_syscall,
     .reason = "goes on with a wait after SIGSTOP or a freezer"},
    {.call = SYS_poll,
     .where = {Argument(1) == 1},
     .reason =
         "asks whether the console takes more, and gives its reader time"},
    // EPOLL_CTL_ADD is 1, EPOLL_CTL_DEL 2.
    {.call = SYS_epoll_ctl,
     .where = {Argument(0) == Slot::kEpollFd, Argument(1) <= EPOLL_CTL_DEL,
               Argument(2) == STDOUT_FILENO},
     .reason = "wakes the tender for that reader while the guest sleeps"},
    {.call = SYS_write,
     .where = {Argument(0) == STDERR_FILENO},
     .reason = "says why the guest ended"},
    {.call = SYS_write,
     .situation = Situation::kStatus,
     .where = {Argument(0) == Slot::kStatusFd},
     .reason = "says so to the program that started the tender"},
    {.call = SYS_read,
     .where = {Argument(0) == Slot::kRequestFd},
     .reason = "takes note that signals asked for something"},
    {.call = SYS_write,
     .where = {Argument(0) == Slot::kRequestFd},
     .reason = "wakes the guest's sleep from a signal handler"},
    {.call = SYS_rt_sigreturn, .reason = "ends a signal handler"},
    {.call = SYS_exit_group, .reason = "ends the tender"},

    // --net-ring=on: what the ring's thread does besides frames, and what the
    // other one does to it.
    {.call = SYS_read,
     .situation = Situation::kNetRing,
     .where = {Argument(0) == Slot::kRingFd},
     .reason = "sleeps until the guest kicks"},
    {.call = SYS_write,
     .situation = Situation::kNetRing,
     .where = {Argument(0) == Slot::kRingFd},
     .reason = "kicks for the guest, where KVM does not"},
    {.call = SYS_futex,
     .situation = Situation::kNetRing,
     .where = {Argument(1) >= FUTEX_WAIT_PRIVATE,
               Argument(1) <= FUTEX_WAKE_PRIVATE},
     .reason = "lets the guest's end wait for its last frames"},
    {.call = SYS_tgkill,
     .situation = Situation::kNetRing,
     .where = {Argument(0) == Slot::kOwnPid, Argument(1) == Slot::kOwnPid,
               Argument(2) == SIGURG},
     .reason = "stops a guest that broke the ring"},

    // --dumpcore: one file of one name, in a directory that is open already.
    {.call = SYS_openat,
     .situation = Situation::kDumpCore,
     .where = {Argument(0) == Slot::kCoreDirectoryFd,
               Argument(1) == Slot::kCoreName, Argument(2) == kNewFile,
               Argument(3) == kNewFileMode},
     .reason = "makes the core file of a guest that crashed"},
    {.call = SYS_unlinkat,
     .situation = Situation::kDumpCore,
     .where = {Argument(0) == Slot::kCoreDirectoryFd,
               Argument(1) == Slot::kCoreName, Argument(2) == 0},
     .reason = "takes it away when it can't be written whole"},
    {.call = SYS_pwrite64,
     .situation = Situation::kDumpCore,
     .where = {Argument(0) == Slot::kCoreFd},
     .reason = "writes it"},
    {.call = SYS_ftruncate,
     .situation = Situation::kDumpCore,
     .where = {Argument(0) == Slot::kCoreFd},
     .reason = "makes it end with a hole where the guest's memory does"},
    {.call = SYS_ioctl,
     .situation = Situation::kDumpCore,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_GET_FPU},
     .reason = "reads the vector registers for it"},
    {.call = SYS_pread64,
     .situation = Situation::kPageMap,
     .where = {Argument(0) == Slot::kPageMapFd},
     .reason = "finds the pages that were ever touched, so that a core file "
               "or snapshot takes no longer than it must"},

    // --gdb: one connection, open already.
    {.call = SYS_recvfrom,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kGdbFd},
     .reason = "hears what the debugger wants"},
    {.call = SYS_sendto,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kGdbFd},
     .reason = "answers it"},
    {.call = SYS_close,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kGdbFd},
     .reason = "lets the guest go on without it"},
    {.call = SYS_ioctl,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_GET_FPU},
     .reason = "shows it the vector registers"},
    {.call = SYS_ioctl,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_SET_FPU},
     .reason = "changes them for it"},
    {.call = SYS_ioctl,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kVcpuFd,
               Argument(1) == KVM_SET_GUEST_DEBUG},
     .reason = "at level 0, lets the guest do one instruction for it"},
    {.call = SYS_ioctl,
     .situation = Situation::kGdb,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_SET_REGS},
     .reason = "says which one that is"},

    // --snapshot-to: three files of fixed names in such a directory.
    {.call = SYS_ioctl,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == kKvmGetXsave},
     .reason = "saves the vector registers"},
    {.call = SYS_ioctl,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_GET_XCRS},
     .reason = "saves which of them are in use"},
    {.call = SYS_ioctl,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kVcpuFd,
               Argument(1) == KVM_GET_VCPU_EVENTS},
     .reason = "saves an exception under way"},
    {.call = SYS_ioctl,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_GET_DEBUGREGS},
     .reason = "saves what a guest at level 0 can have set"},
    {.call = SYS_ioctl,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == kKvmGetMsrs},
     .reason = "saves the time stamp counter, and what a guest at level 0 can "
               "have set"},
    {.call = SYS_ioctl,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kVcpuFd, Argument(1) == KVM_GET_TSC_KHZ},
     .reason = "saves that counter's rate"},
    {.call = SYS_openat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kMemoryName0, Argument(2) == kNewFile,
               Argument(3) == kNewFileMode},
     .reason = "makes the memory file, of which there are two by turns"},
    {.call = SYS_unlinkat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kMemoryName0, Argument(2) == 0},
     .reason = "takes an old one away, or one that failed"},
    {.call = SYS_openat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kMemoryName1, Argument(2) == kNewFile,
               Argument(3) == kNewFileMode},
     .reason = "makes the other one"},
    {.call = SYS_unlinkat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kMemoryName1, Argument(2) == 0},
     .reason = "takes an old one away, or one that failed"},
    {.call = SYS_openat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kNewMachineName, Argument(2) == kNewFile,
               Argument(3) == kNewFileMode},
     .reason = "makes the machine file, which is renamed when it is whole"},
    {.call = SYS_unlinkat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kNewMachineName, Argument(2) == 0},
     .reason = "takes an old one away, or one that failed"},
    {.call = SYS_renameat,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd,
               Argument(1) == Slot::kNewMachineName,
               Argument(2) == Slot::kSnapshotDirectoryFd,
               Argument(3) == Slot::kMachineName},
     .reason = "makes the snapshot the one that counts"},
    {.call = SYS_pwrite64,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotFd},
     .reason = "writes its files"},
    {.call = SYS_fsync,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotFd},
     .reason = "has them on the medium before they count"},
    {.call = SYS_fsync,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotDirectoryFd},
     .reason = "has their names there before the last snapshot goes"},
    {.call = SYS_close,
     .situation = Situation::kSnapshot,
     .where = {Argument(0) == Slot::kSnapshotFd},
     .reason = "makes room for the next file"},

    // --snapshot-to=@SOCKET: the directory comes when it is wanted.
    {.call = SYS_recvmsg,
     .situation = Situation::kSnapshotInbox,
     .where = {Argument(0) == Slot::kSnapshotInboxFd,
               Argument(2) == kReceiveDirectory},
     .reason = "receives the directory of the snapshot that is asked for"},
    {.call = SYS_dup3,
     .situation = Situation::kSnapshotInbox,
     .where = {Argument(0) == Slot::kSnapshotFd,
               Argument(1) == Slot::kSnapshotDirectoryFd,
               Argument(2) == O_CLOEXEC},
     .reason = "puts it where the rules above expect it"},
    {.call = SYS_dup3,
     .situation = Situation::kSnapshotInbox,
     .where = {Argument(0) == Slot::kSnapshotInboxFd,
               Argument(1) == Slot::kSnapshotDirectoryFd,
               Argument(2) == O_CLOEXEC},
     .reason = "lets go of it again"},
};

}  // namespace serai::tender::policy
