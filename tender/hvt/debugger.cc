// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/debugger.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
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

constexpr uint64_t kTrapFlag = 0x100;
// DR6 and DR7 with nothing set.
constexpr uint64_t kNoDebugStatus = 0xffff0ff0;
constexpr uint64_t kNoDebugControl = 0x400;

// Where the processor takes nothing any more for an address of the guest's.
constexpr uint64_t kAddressLimit = uint64_t{1} << 47;

// What DR7 says of a size, which is 1, 2, 4 or 8.
uint64_t SizeBits(uint64_t size) { return size == 8 ? 2 : (size - 1) & 3; }

// A KVM that does not use the processor's own virtual machines takes debug
// registers but forgets them, and says so nowhere.
bool HasDebugRegisters() {
  return ::access("/sys/module/kvm_intel", F_OK) == 0 ||
         ::access("/sys/module/kvm_amd", F_OK) == 0;
}

constexpr bool IsPointSize(uint64_t size) {
  return size == 1 || size == 2 || size == 4 || size == 8;
}

Stop::Reason ReasonOf(Point point) {
  switch (point) {
    case Point::kSoftware:
      return Stop::Reason::kSoftware;
    case Point::kHardware:
      return Stop::Reason::kHardware;
    case Point::kWrite:
      return Stop::Reason::kWrite;
    case Point::kRead:
      return Stop::Reason::kRead;
    case Point::kAccess:
      return Stop::Reason::kAccess;
  }
  return Stop::Reason::kSignal;
}

}  // namespace

Debugger::Debugger(const GdbOptions& options, Processor* processor,
                   const GuestMemory* memory, bool at_level3)
    : connection_(options),
      session_(this, &connection_),
      processor_(processor),
      breakpoints_(memory),
      at_level3_(at_level3),
      has_debug_registers_(HasDebugRegisters()) {}

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
  if (vector == kBreakpoint && breakpoints_.IsAt(regs.rip - 1)) {
    --regs.rip;
    StopAt({SIGTRAP, Stop::Reason::kSoftware});
    GoOn();
    return true;
  }
  if (vector != kDebug) return false;
  const Stop stop = HardwareStop(TakeDebugStatus());
  if (!stepped && stop.reason == Stop::Reason::kSignal) return false;
  StopAt(stop);
  GoOn();
  return true;
}

// DR6, which stays as it is until it is cleared.
uint64_t Debugger::TakeDebugStatus() {
  if (std::none_of(hardware_.begin(), hardware_.end(),
                   [](const HardwarePoint& one) { return one.used; })) {
    return 0;
  }
  kvm_debugregs debug = {};
  if (::ioctl(processor_->fd(), KVM_GET_DEBUGREGS, &debug) != 0) return 0;
  ControlProcessor();
  return debug.dr6;
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
  if (stepping_ && !retrying_) StopAt({SIGTRAP});
  retrying_ = false;
  GoOn();
}

bool Debugger::TakeExit() {
  if (!attached_ || at_level3_) return false;
  const kvm_run& run = processor_->run();
  const bool at_breakpoint = breakpoints_.IsAt(processor_->regs().rip);
  if (run.exit_reason != KVM_EXIT_DEBUG) {
    // A KVM that interprets level 0 may not know `int3`.
    if (run.exit_reason != KVM_EXIT_INTERNAL_ERROR || !at_breakpoint) {
      return false;
    }
    StopAt({SIGTRAP, Stop::Reason::kSoftware});
  } else if (run.debug.arch.exception != kBreakpoint) {
    StopAt(HardwareStop(run.debug.arch.dr6));
  } else if (at_breakpoint) {
    StopAt({SIGTRAP, Stop::Reason::kSoftware});
  } else {
    reinject_ = true;  // it is the guest's own
  }
  GoOn();
  return true;
}

// `flags` are DR6.
Stop Debugger::HardwareStop(uint64_t flags) const {
  for (size_t i = 0; i < hardware_.size(); ++i) {
    if ((flags >> i & 1) == 0 || !hardware_[i].used) continue;
    return {SIGTRAP, ReasonOf(hardware_[i].point), hardware_[i].address};
  }
  return {SIGTRAP};
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
}

void Debugger::GoOn() {
  if (at_level3_ && attached_ && stepping_) {
    kvm_regs& regs = processor_->regs();
    armed_ = (regs.rflags & kTrapFlag) == 0;
    flow_ = FlowOf(regs.rip);
    regs.rflags |= kTrapFlag;
    processor_->ChangeRegisters();
  }
  ControlProcessor();
  // What came while it was waited for, together with the last packet, has
  // brought no signal.
  if (WantsStop()) Ask(Request::kDebugger);
}

void Debugger::Leave() {
  breakpoints_.RemoveAll();
  hardware_ = {};
  stepping_ = false;
  attached_ = false;
  connection_.Close();
  ControlProcessor();
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

// Hands the processor what of the debugger's wishes is its part. False where it
// can't do that.
bool Debugger::ControlProcessor() {
  return at_level3_ ? SetDebugRegisters() : SetGuestDebug();
}

// At level 3 the debug registers are free: the guest has no access to them.
bool Debugger::SetDebugRegisters() {
  kvm_debugregs debug = {};
  debug.dr6 = kNoDebugStatus;
  debug.dr7 = PlaceHardwarePoints(debug.db);
  if (debug.dr7 == kNoDebugControl && !hardware_set_) return true;
  hardware_set_ = debug.dr7 != kNoDebugControl;
  return ::ioctl(processor_->fd(), KVM_SET_DEBUGREGS, &debug) == 0;
}

bool Debugger::SetGuestDebug() {
  kvm_guest_debug debug = {};
  if (attached_) {
    debug.control =
        KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP;
    if (stepping_) debug.control |= KVM_GUESTDBG_SINGLESTEP;
    if (reinject_) debug.control |= KVM_GUESTDBG_INJECT_BP;
    debug.arch.debugreg[7] = PlaceHardwarePoints(debug.arch.debugreg);
  }
  reinject_ = false;
  return ::ioctl(processor_->fd(), KVM_SET_GUEST_DEBUG, &debug) == 0;
}

// Fills DR0 to DR3 and returns DR7.
uint64_t Debugger::PlaceHardwarePoints(__u64* addresses) const {
  uint64_t control = kNoDebugControl;
  for (size_t i = 0; i < hardware_.size(); ++i) {
    const HardwarePoint& point = hardware_[i];
    if (!point.used) continue;
    const uint64_t kind = point.point == Point::kHardware ? 0
                          : point.point == Point::kWrite  ? 1
                                                          : 3;
    addresses[i] = point.address;
    control |= uint64_t{2} << 2 * i | (kind | SizeBits(point.size) << 2)
                                          << (16 + 4 * i);
  }
  return control;
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
  if (point == Point::kSoftware) {
    return breakpoints_.Insert(address) ? Answer::kDone : Answer::kFailed;
  }
  // x86 has none that looks at reads only.
  if (point == Point::kRead || !has_debug_registers_) {
    return Answer::kUnsupported;
  }
  if (point == Point::kHardware) size = 1;
  if (!IsPointSize(size) || address % size != 0 || address >= kAddressLimit) {
    return Answer::kFailed;
  }
  HardwarePoint* const free =
      std::find_if(hardware_.data(), hardware_.data() + hardware_.size(),
                   [](const HardwarePoint& one) { return !one.used; });
  if (free == hardware_.data() + hardware_.size()) return Answer::kFailed;
  *free = {true, point, address, size};
  if (ControlProcessor()) return Answer::kDone;
  *free = {};
  return Answer::kUnsupported;
}

Answer Debugger::Remove(Point point, uint64_t address, uint64_t size) {
  if (point == Point::kSoftware) {
    breakpoints_.Remove(address);
    return Answer::kDone;
  }
  if (point == Point::kHardware) size = 1;
  for (HardwarePoint& one : hardware_) {
    if (one.used && one.point == point && one.address == address &&
        one.size == size) {
      one = {};
      break;
    }
  }
  return ControlProcessor() ? Answer::kDone : Answer::kFailed;
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
