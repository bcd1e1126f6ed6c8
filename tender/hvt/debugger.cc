// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/debugger.h"

#include <signal.h>

#include <cerrno>
#include <cstring>

#include "tender/hvt/core_file.h"
#include "tender/hvt/debug_registers.h"
#include "tender/requests.h"

namespace serai::tender::hvt {
namespace {

using gdb::Answer;
using gdb::Point;
using gdb::Registers;
using gdb::Resume;
using gdb::Stop;

constexpr uint8_t kInt3 = 0xcc;
constexpr uint8_t kHlt = 0xf4;
constexpr uint64_t kTrapFlag = 0x100;

}  // namespace

Debugger::Debugger(const GdbOptions& options, Processor* processor,
                   const GuestMemory* memory, bool at_level3)
    : connection_(options),
      session_(this, &connection_),
      processor_(processor),
      breakpoints_(memory, at_level3 ? kInt3 : kHlt),
      watchpoints_(memory),
      at_level3_(at_level3) {}

void Debugger::Accept() {
  AcceptRequests(SIGIO, Request::kDebugger);
  connection_.Accept();
}

void Debugger::Bind(Bindings* bindings) const {
  bindings->Have(policy::Situation::kGdb)
      .Set(policy::Slot::kGdbFd, connection_.fd());
}

void Debugger::Start() {
  StopAt({SIGTRAP});
  GoOn();
}

void Debugger::OnRequest() {
  if (!WantsStop()) return;
  Disarm(false);
  StopAt({SIGINT});
  GoOn();
}

bool Debugger::TakeTrap(uint8_t vector) {
  if (!attached_) return false;
  const bool stepped = armed_ && vector == kDebug;
  Disarm(stepped);
  kvm_regs& regs = processor_->regs();
  if (stepped) {
    FinishStep();
  } else if (vector == kBreakpoint && breakpoints_.IsAt(regs.rip - 1)) {
    --regs.rip;
    StopAt({SIGTRAP, Stop::Reason::kBreakpoint});
  } else if (vector == kPageFault && processor_->sregs().cr2 == regs.rip &&
             breakpoints_.IsAt(regs.rip)) {
    // On the stack, which the guest can't execute: there gdb lets a function
    // return to that it calls.
    StopAt({SIGTRAP, Stop::Reason::kBreakpoint});
  } else {
    return false;
  }
  GoOn();
  return true;
}

bool Debugger::Allow(const Exception& exception) {
  // Those two the guest has brought about for itself.
  if (!attached_ || exception.vector == kDebug ||
      exception.vector == kBreakpoint) {
    return true;
  }
  told_rip_ = processor_->regs().rip;
  StopAt({SignalOf(exception.vector)});
  retrying_ = attached_ && signal_ == 0;
  return !retrying_;
}

void Debugger::FinishTrap() {
  if (!attached_) return;
  if (TakesSteps() && !retrying_) FinishStep();
  retrying_ = false;
  GoOn();
}

bool Debugger::TakeExit() {
  if (!attached_ || at_level3_) return false;
  const kvm_run& run = processor_->run();
  kvm_regs& regs = processor_->regs();
  if (run.exit_reason == KVM_EXIT_DEBUG) {
    FinishStep();
  } else if (run.exit_reason == KVM_EXIT_HLT &&
             breakpoints_.IsAt(regs.rip - 1)) {
    --regs.rip;
    processor_->ChangeRegisters();
    StopAt({SIGTRAP, Stop::Reason::kBreakpoint});
  } else {
    return false;
  }
  GoOn();
  return true;
}

// The guest has done one instruction. The debugger need not have asked for
// that.
void Debugger::FinishStep() {
  if (const auto changed = watchpoints_.TakeChange(); changed) {
    StopAt({SIGTRAP, Stop::Reason::kWatchpoint, *changed});
  } else if (stepping_) {
    StopAt({SIGTRAP});
  }
}

void Debugger::OnEnd(End end, int status, const Crash* crash) {
  if (!attached_) return;
  ended_ = true;
  Disarm(false);
  // What it has been told as an exception it need not see again.
  if (crash != nullptr && crash->regs.rip != told_rip_) {
    processor_->regs() = crash->regs;
    StopAt({crash->signal});
  }
  if (!attached_) return;
  switch (end) {
    case End::kExit:
      session_.TellExit(static_cast<uint8_t>(status));
      break;
    case End::kAbort:
      session_.TellKilled(SIGABRT);
      break;
    case End::kViolation:
      session_.TellKilled(crash == nullptr ? SIGSEGV : crash->signal);
      break;
    case End::kSignal:
      session_.TellKilled(status & 0x7f);
      break;
    case End::kFailure:  // the connection just ends
      break;
  }
  Leave();
}

// Serves the debugger. What it has decided is done by GoOn(), when the guest's
// registers are what it goes on with.
void Debugger::StopAt(const Stop& stop) {
  const Resume resume = session_.Serve(stop);
  stepping_ = resume.action == Resume::Action::kStep;
  signal_ = resume.signal;
  const bool kill = resume.action == Resume::Action::kKill;
  if (kill || resume.action == Resume::Action::kLeave) Leave();
  if (kill && !ended_) EndWithSignal(SIGKILL);
  // What the debugger itself has written is no news to it.
  watchpoints_.TakeChange();
  // What came while it was waited for, together with the last packet, has
  // brought no signal.
  if (WantsStop()) Ask(Request::kDebugger);
}

void Debugger::GoOn() {
  if (!at_level3_) {
    ControlSteps();
  } else if (TakesSteps()) {
    kvm_regs& regs = processor_->regs();
    armed_ = (regs.rflags & kTrapFlag) == 0;
    flow_ = FlowOf(regs.rip);
    regs.rflags |= kTrapFlag;
    processor_->ChangeRegisters();
  }
}

void Debugger::Leave() {
  breakpoints_.RemoveAll();
  watchpoints_.RemoveAll();
  stepping_ = false;
  attached_ = false;
  connection_.Close();
  if (!at_level3_) ControlSteps();
}

// At level 0: whether KVM stops the guest after its next instruction.
void Debugger::ControlSteps() {
  if (!TakesSteps() && !controlled_) return;
  controlled_ = TakesSteps();
  kvm_guest_debug debug = {};
  if (controlled_) {
    debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    // It takes the step from where it believes the guest to be now.
    Control(processor_->fd(), KVM_SET_REGS, &processor_->regs(),
            "KVM_SET_REGS");
  }
  Control(processor_->fd(), KVM_SET_GUEST_DEBUG, &debug, "KVM_SET_GUEST_DEBUG");
}

// Takes the trap flag back. `stepped` is whether the instruction that it was
// set for has been executed.
void Debugger::Disarm(bool stepped) {
  if (!armed_) return;
  armed_ = false;
  kvm_regs& regs = processor_->regs();
  // What the guest has loaded is its own.
  if (!stepped || flow_ != Flow::kPopsFlags) regs.rflags &= ~kTrapFlag;
  processor_->ChangeRegisters();
  uint8_t pushed[2];
  if (stepped && flow_ == Flow::kPushesFlags && ReadMemory(regs.rsp, pushed)) {
    pushed[1] &= static_cast<uint8_t>(~(kTrapFlag >> 8));
    WriteMemory(regs.rsp, pushed);
  }
}

Debugger::Flow Debugger::FlowOf(uint64_t rip) {
  constexpr int kMaxPrefixes = 14;
  for (int i = 0; i < kMaxPrefixes; ++i, ++rip) {
    uint8_t byte = 0;
    if (!ReadMemory(rip, {&byte, 1})) break;
    if (byte == 0x9c) return Flow::kPushesFlags;
    if (byte == 0x9d) return Flow::kPopsFlags;
    const bool prefix = byte == 0x66 || byte == 0x67 || byte == 0xf2 ||
                        byte == 0xf3 || (byte & 0xe7) == 0x26 ||
                        (byte & 0xfe) == 0x64 || (byte & 0xf0) == 0x40;
    if (!prefix) break;
  }
  return Flow::kOther;
}

void Debugger::ReadRegisters(Registers* registers) {
  processor_->FetchSystemRegisters();
  kvm_fpu fpu = {};
  [[maybe_unused]] const int ignored =
      ::ioctl(processor_->fd(), KVM_GET_FPU, &fpu);
  CopyRegisters({&processor_->regs(), &processor_->sregs(), &fpu}, registers);
}

bool Debugger::WriteRegisters(const Registers& registers) {
  processor_->FetchSystemRegisters();
  kvm_fpu fpu = {};
  if (::ioctl(processor_->fd(), KVM_GET_FPU, &fpu) != 0) return false;
  const kvm_fpu before = fpu;
  if (!CopyRegisters(registers,
                     {&processor_->regs(), &processor_->sregs(), &fpu})) {
    return false;
  }
  processor_->ChangeRegisters();
  processor_->ChangeSystemRegisters();
  // Loading these costs something, and mostly others were changed.
  return std::memcmp(&fpu, &before, sizeof(fpu)) == 0 ||
         ::ioctl(processor_->fd(), KVM_SET_FPU, &fpu) == 0;
}

bool Debugger::ReadMemory(uint64_t address, std::span<uint8_t> to) {
  return breakpoints_.Read(address, to);
}

bool Debugger::WriteMemory(uint64_t address, std::span<const uint8_t> from) {
  return breakpoints_.Write(address, from);
}

Answer Debugger::Insert(Point point, uint64_t address, uint64_t size) {
  bool done = false;
  switch (point) {
    case Point::kSoftware:
    case Point::kHardware:  // what is asked for is that it works
      done = breakpoints_.Insert(address);
      break;
    case Point::kWrite:
      done = watchpoints_.Insert(address, size);
      break;
    case Point::kRead:
    case Point::kAccess:
      return Answer::kUnsupported;
  }
  return done ? Answer::kDone : Answer::kFailed;
}

Answer Debugger::Remove(Point point, uint64_t address, uint64_t size) {
  switch (point) {
    case Point::kSoftware:
    case Point::kHardware:
      breakpoints_.Remove(address);
      return Answer::kDone;
    case Point::kWrite:
      watchpoints_.Remove(address, size);
      return Answer::kDone;
    case Point::kRead:
    case Point::kAccess:
      break;
  }
  return Answer::kUnsupported;
}

void Debugger::Hide() {
  Disarm(false);
  breakpoints_.Hide();
}

void Debugger::Show() {
  breakpoints_.Show();
  if (attached_) GoOn();
}

}  // namespace serai::tender::hvt
