// SPDX-License-Identifier: Apache-2.0
#pragma once

// Lets gdb look at the guest and control it (--gdb).
//
// At level 3 a breakpoint is an `int3` in the guest's text and a step is taken
// with the trap flag; both end in the stub. The guest sees neither: the flag is
// taken back wherever it shows, and an instruction that is emulated is one step
// as any other. At level 0 a breakpoint is a `hlt`, of which every KVM tells,
// and KVM takes the steps. Watchpoints are looked at after each step.

#include <cstdint>

#include "tender/filter.h"
#include "tender/gdb/connection.h"
#include "tender/gdb/session.h"
#include "tender/hvt/breakpoints.h"
#include "tender/hvt/core_dump.h"
#include "tender/hvt/emulate.h"
#include "tender/hvt/kvm.h"
#include "tender/hvt/memory.h"
#include "tender/hvt/watchpoints.h"
#include "tender/report.h"

namespace serai::tender::hvt {

class Debugger final : private gdb::Target {
 public:
  // Listens. Borrows all; what the memory holds must be writable for the host.
  Debugger(const GdbOptions& options, Processor* processor,
           const GuestMemory* memory, bool at_level3);

  // Waits for the debugger to come.
  void Accept();
  // What this takes, once it has come.
  void Bind(Bindings* bindings) const;

  // Before the guest's first instruction, and whenever the debugger may want
  // something: serves it, if it does, until it lets the guest go on.
  void Start();
  void OnRequest();
  // Whether OnRequest() has something to do.
  bool WantsStop() { return attached_ && session_.WantsStop(); }

  // At level 3 the guest trapped, and its registers are in place. True when
  // that was the debugger's doing, and all is done.
  bool TakeTrap(uint8_t vector);
  // The guest is about to get `exception`; false when it is not to.
  bool Allow(const Exception& exception);
  // What the trap was about has been done.
  void FinishTrap();

  // At level 0 the guest has left by an exit other than `out`. True when that
  // was the debugger's doing, and all is done.
  bool TakeExit();

  // The guest has ended. `crash` says where it went wrong, null where it
  // didn't.
  void OnEnd(End end, int status, const Crash* crash);

  // Takes the debugger's traces off the guest, while it is copied, and puts
  // them back.
  void Hide();
  void Show();

 private:
  // What the instruction that is stepped over does to the flags on the stack.
  enum class Flow { kOther, kPushesFlags, kPopsFlags };

  void ReadRegisters(gdb::Registers* registers) override;
  bool WriteRegisters(const gdb::Registers& registers) override;
  bool ReadMemory(uint64_t address, std::span<uint8_t> to) override;
  bool WriteMemory(uint64_t address, std::span<const uint8_t> from) override;
  gdb::Answer Insert(gdb::Point point, uint64_t address,
                     uint64_t size) override;
  gdb::Answer Remove(gdb::Point point, uint64_t address,
                     uint64_t size) override;

  // Whether every instruction of the guest's is looked at.
  bool TakesSteps() const { return stepping_ || !watchpoints_.IsEmpty(); }
  void FinishStep();
  void ControlSteps();
  void StopAt(const gdb::Stop& stop);
  void GoOn();
  void Leave();
  void Disarm(bool stepped);
  Flow FlowOf(uint64_t rip);

  gdb::Connection connection_;
  gdb::Session session_;
  Processor* processor_;
  Breakpoints breakpoints_;
  Watchpoints watchpoints_;
  bool at_level3_;
  bool attached_ = true;
  bool stepping_ = false;
  bool armed_ = false;     // the trap flag is set, and not the guest's
  bool retrying_ = false;  // the guest did not get its exception
  bool ended_ = false;
  bool controlled_ = false;  // KVM has been told to stop after each step
  uint64_t told_rip_ = ~uint64_t{0};  // of the last exception that was told of
  int signal_ = 0;                    // for the guest, when it went on
  Flow flow_ = Flow::kOther;
};

}  // namespace serai::tender::hvt
