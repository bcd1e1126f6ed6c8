// SPDX-License-Identifier: Apache-2.0
#pragma once

// KVM's interface, thinly: a call either works or ends the tender.

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "tender/report.h"

namespace serai::tender::hvt {

// Does the ioctl `request` and returns what it answers, which is not negative.
template <typename T>
int Control(int fd, unsigned long request, T argument, const char* name) {
  const int result = ::ioctl(fd, request, argument);
  if (result < 0) Fatal("KVM: %s: %s", name, std::strerror(errno));
  return result;
}

// A new descriptor of /dev/kvm, or -1 with errno, for whoever must open it
// before it is known to be needed; and what is to be said when it then is not
// there.
int TryToOpenKvm();
[[noreturn]] void EndWithoutKvm(int error);

// `given`, or a new descriptor of /dev/kvm where that is negative.
int OpenKvm(int given);

// Makes the memory at `at` the guest's from `address` on.
void AddMemory(int vm_fd, uint32_t slot, uint64_t address, uint8_t* at,
               uint64_t size);

// The one virtual processor. What it holds is read and written in the page that
// it shares with KVM: regs() and sregs() are its state at the last exit, and
// what is announced as changed is loaded at the next entry.
class Processor {
 public:
  Processor(int kvm_fd, int vm_fd);

  int fd() const { return fd_; }
  kvm_run& run() { return *run_; }
  const kvm_run& run() const { return *run_; }
  kvm_regs& regs() { return run_->s.regs.regs; }
  const kvm_regs& regs() const { return run_->s.regs.regs; }
  // Valid after FetchSystemRegisters() only.
  kvm_sregs& sregs() { return run_->s.regs.sregs; }

  // Makes sregs() those of the last exit, once per exit.
  void FetchSystemRegisters();
  // Whether every exit brings the system registers, which costs a little;
  // FetchSystemRegisters() costs more where they did not come.
  void KeepSystemRegisters(bool keep);
  void ChangeRegisters() { run_->kvm_dirty_regs |= KVM_SYNC_X86_REGS; }
  void ChangeSystemRegisters() { run_->kvm_dirty_regs |= KVM_SYNC_X86_SREGS; }

  enum class Stop { kExit, kInterrupted };
  // Lets the guest run until it exits or a signal comes.
  Stop Run();

 private:
  int fd_;
  kvm_run* run_;
};

}  // namespace serai::tender::hvt
