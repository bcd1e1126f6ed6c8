// SPDX-License-Identifier: Apache-2.0
#pragma once

// The hvt target: a virtual machine of KVM's with one processor, no devices and
// no interrupts.

#include <optional>

#include "tender/console.h"
#include "tender/counters.h"
#include "tender/guest.h"
#include "tender/hvt/core_dump.h"
#include "tender/hvt/debugger.h"
#include "tender/hvt/hypercall.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/level3.h"
#include "tender/hvt/memory.h"
#include "tender/hvt/ring.h"
#include "tender/hvt/ring_thread.h"
#include "tender/hvt/snapshot.h"

namespace serai::tender::hvt {

class Machine {
 public:
  // Builds the machine with the guest in it; `guest` is borrowed.
  explicit Machine(Guest* guest);

  // Gives up every system call that is not needed to serve the guest, and runs
  // it until it ends.
  [[noreturn]] void Run();

 private:
  void WriteBootInfo();
  void OfferRing();
  void GoOn(const Snapshot& snapshot, const CpuidTable& cpuid);
  void Confine();
  void StartDebugged();
  void OnExit();
  void OnIo();
  [[noreturn]] void OnUnhandledExit();
  void OnInterrupt();
  bool OnSleepDisturbed();
  void ServeRequests(uint32_t requests);
  void WriteCounters();
  [[noreturn]] void OnAbort(const Trap* trap);
  Crash FindCrash() const;
  void OnEnd(End end, int status);

  Guest& guest_;
  Counters counters_;
  uint8_t* base_;
  uint8_t* system_;
  GuestMemory memory_;
  int epoll_fd_;
  Console console_;
  Hypercalls hypercalls_;
  int kvm_fd_;
  int vm_fd_;
  Processor processor_;
  bool at_level3_;
  Level3 level3_;
  std::optional<Ring> ring_;
  std::optional<RingThread> ring_thread_;
  std::optional<Debugger> debugger_;
  std::optional<CoreDump> core_dump_;
  std::optional<Snapshots> snapshots_;
  std::optional<Crash> abort_;
  // Requests that came when the registers were not the guest's.
  uint32_t postponed_ = 0;
};

// Runs `guest` until it ends.
[[noreturn]] void Run(Guest* guest);

}  // namespace serai::tender::hvt
