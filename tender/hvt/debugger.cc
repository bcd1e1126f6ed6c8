// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/debugger.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tender/hvt/core_file.h"
#include "tender/requests.h"

namespace serai::tender::hvt {
namespace {

using gdb::Answer;
using gdb::Point;
using gdb::Registers;
using gdb::Resume;
using gdb::Stop;

constexpr uint8_t kInt3 = 0xcc;
constexpr uint64_t kTrapFlag = 0x100;
// DR6 and DR7 with nothing set.
constexpr uint64_t kNoDebugStatus = 0xffff0ff0;
constexpr uint64_t kNoDebugControl = 0x400;

// CF, PF, AF, ZF, SF, DF, OF, AC, ID: what a debugger may change.
constexpr uint64_t kPlainFlags = 0x240cd5;
// Where the processor takes nothing any more for an address of the guest's.
constexpr uint64_t kAddressLimit = uint64_t{1} << 47;
constexpr uint32_t kMxcsrBits = 0xffff;

// In gdb's order.
constexpr __u64 kvm_regs::*kGeneral[16] = {
    &kvm_regs::rax, &kvm_regs::rbx, &kvm_regs::rcx, &kvm_regs::rdx,
    &kvm_regs::rsi, &kvm_regs::rdi, &kvm_regs::rbp, &kvm_regs::rsp,
    &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
    &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};

// The tag word of an x87 has two bits for each register; what is kept is only
// whether it is in use.
uint32_t WholeTags(uint8_t used) {
  uint32_t tags = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    if ((used >> i & 1) == 0) tags |= 3u << 2 * i;
  }
  return tags;
}
uint8_t UsedTags(uint32_t tags) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    if ((tags >> 2 * i & 3) != 3) used |= 1u << i;
  }
  return static_cast<uint8_t>(used);
}

void CopyFloats(const kvm_fpu& fpu, Registers* to) {
  for (size_t i = 0; i < 8; ++i) {
    std::memcpy(to->st[i], fpu.fpr[i], sizeof(to->st[i]));
  }
  const uint32_t x87[8] = {fpu.fcw,
                           fpu.fsw,
                           WholeTags(fpu.ftwx),
                           static_cast<uint32_t>(fpu.last_ip >> 32),
                           static_cast<uint32_t>(fpu.last_ip),
                           static_cast<uint32_t>(fpu.last_dp >> 32),
                           static_cast<uint32_t>(fpu.last_dp),
                           fpu.last_opcode};
  std::memcpy(to->x87, x87, sizeof(x87));
  std::memcpy(to->xmm, fpu.xmm, sizeof(to->xmm));
  to->mxcsr = fpu.mxcsr;
}

void CopyFloats(const Registers& from, kvm_fpu* fpu) {
  for (size_t i = 0; i < 8; ++i) {
    std::memcpy(fpu->fpr[i], from.st[i], sizeof(from.st[i]));
  }
  uint32_t x87[8];
  std::memcpy(x87, from.x87, sizeof(x87));
  fpu->fcw = static_cast<uint16_t>(x87[0]);
  fpu->fsw = static_cast<uint16_t>(x87[1]);
  fpu->ftwx = UsedTags(x87[2]);
  fpu->last_ip = uint64_t{x87[3]} << 32 | x87[4];
  fpu->last_dp = uint64_t{x87[5]} << 32 | x87[6];
  fpu->last_opcode = static_cast<uint16_t>(x87[7]);
  std::memcpy(fpu->xmm, from.xmm, sizeof(from.xmm));
  fpu->mxcsr = from.mxcsr & kMxcsrBits;
}

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
      memory_(memory),
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
  if (vector == kBreakpoint && FindBreakpoint(regs.rip - 1) != nullptr) {
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
  const bool at_breakpoint = FindBreakpoint(processor_->regs().rip) != nullptr;
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
}

void Debugger::Leave() {
  for (size_t i = 0; i < breakpoint_count_; ++i) {
    *memory_->At(breakpoints_[i].address) = breakpoints_[i].original;
  }
  breakpoint_count_ = 0;
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
  const kvm_regs& regs = processor_->regs();
  const kvm_sregs& sregs = processor_->sregs();
  for (size_t i = 0; i < 16; ++i) registers->general[i] = regs.*kGeneral[i];
  registers->rip = regs.rip;
  registers->rflags = static_cast<uint32_t>(regs.rflags);
  const uint32_t segments[6] = {sregs.cs.selector, sregs.ss.selector,
                                sregs.ds.selector, sregs.es.selector,
                                sregs.fs.selector, sregs.gs.selector};
  std::memcpy(registers->segments, segments, sizeof(segments));
  registers->fs_base = sregs.fs.base;
  registers->gs_base = sregs.gs.base;
  kvm_fpu fpu = {};
  [[maybe_unused]] const int ignored =
      ::ioctl(processor_->fd(), KVM_GET_FPU, &fpu);
  CopyFloats(fpu, registers);
}

// Selectors stay as they are, and so do the flags that are not a program's.
bool Debugger::WriteRegisters(const Registers& registers) {
  if (registers.rip >= kAddressLimit || registers.fs_base >= kAddressLimit ||
      registers.gs_base >= kAddressLimit) {
    return false;
  }
  processor_->FetchSystemRegisters();
  kvm_regs& regs = processor_->regs();
  kvm_sregs& sregs = processor_->sregs();
  for (size_t i = 0; i < 16; ++i) regs.*kGeneral[i] = registers.general[i];
  regs.rip = registers.rip;
  regs.rflags = (regs.rflags & ~kPlainFlags) | (registers.rflags & kPlainFlags);
  sregs.fs.base = registers.fs_base;
  sregs.gs.base = registers.gs_base;
  processor_->ChangeRegisters();
  processor_->ChangeSystemRegisters();
  kvm_fpu fpu = {};
  if (::ioctl(processor_->fd(), KVM_GET_FPU, &fpu) != 0) return false;
  const kvm_fpu before = fpu;
  CopyFloats(registers, &fpu);
  // They are loaded at a cost, and mostly not what was changed.
  if (std::memcmp(&fpu, &before, sizeof(fpu)) == 0) return true;
  return ::ioctl(processor_->fd(), KVM_SET_FPU, &fpu) == 0;
}

// The debugger sees the bytes that it has put breakpoints over.
bool Debugger::ReadMemory(uint64_t address, std::span<uint8_t> to) {
  if (!memory_->IsReadable(address, to.size())) return false;
  std::memcpy(to.data(), memory_->At(address), to.size());
  for (size_t i = 0; i < breakpoint_count_; ++i) {
    const uint64_t at = breakpoints_[i].address - address;
    if (at < to.size()) to[at] = breakpoints_[i].original;
  }
  return true;
}

// Also what the guest itself can't write.
bool Debugger::WriteMemory(uint64_t address, std::span<const uint8_t> from) {
  if (!memory_->IsReadable(address, from.size())) return false;
  std::memcpy(memory_->At(address), from.data(), from.size());
  for (size_t i = 0; i < breakpoint_count_; ++i) {
    const uint64_t at = breakpoints_[i].address - address;
    if (at >= from.size()) continue;
    breakpoints_[i].original = from[at];
    *memory_->At(breakpoints_[i].address) = kInt3;
  }
  return true;
}

Debugger::Breakpoint* Debugger::FindBreakpoint(uint64_t address) {
  Breakpoint* const end = breakpoints_.data() + breakpoint_count_;
  Breakpoint* const found = std::find_if(
      breakpoints_.data(), end,
      [&](const Breakpoint& one) { return one.address == address; });
  return found == end ? nullptr : found;
}

Answer Debugger::InsertBreakpoint(uint64_t address) {
  if (FindBreakpoint(address) != nullptr) return Answer::kDone;
  uint8_t original = 0;
  if (breakpoint_count_ == breakpoints_.size() ||
      !ReadMemory(address, {&original, 1})) {
    return Answer::kFailed;
  }
  *memory_->At(address) = kInt3;
  breakpoints_[breakpoint_count_++] = {address, original};
  return Answer::kDone;
}

Answer Debugger::RemoveBreakpoint(uint64_t address) {
  Breakpoint* const found = FindBreakpoint(address);
  if (found == nullptr) return Answer::kDone;
  *memory_->At(address) = found->original;
  *found = breakpoints_[--breakpoint_count_];
  return Answer::kDone;
}

Answer Debugger::Insert(Point point, uint64_t address, uint64_t size) {
  if (point == Point::kSoftware) return InsertBreakpoint(address);
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
  if (point == Point::kSoftware) return RemoveBreakpoint(address);
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
  for (size_t i = 0; i < breakpoint_count_; ++i) {
    *memory_->At(breakpoints_[i].address) = breakpoints_[i].original;
  }
}

void Debugger::Show() {
  for (size_t i = 0; i < breakpoint_count_; ++i) {
    *memory_->At(breakpoints_[i].address) = kInt3;
  }
  if (attached_) GoOn();
}

}  // namespace serai::tender::hvt
