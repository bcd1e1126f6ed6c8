// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/emulate.h"

#include <algorithm>
#include <utility>

#include "tender/hvt/cpu.h"
#include "tender/hvt/decode.h"
#include "tender/hvt/layout.h"
#include "tender/hvt/stub.h"

namespace serai::tender::hvt {
namespace {

using Outcome = Emulator::Outcome;

constexpr uint32_t kFsBase = 0xc0000100;
constexpr uint32_t kGsBase = 0xc0000101;
constexpr uint32_t kOtherGsBase = 0xc0000102;

// Where the guest's own half of the address space ends. Registers that the
// processor loads must be canonical.
constexpr uint64_t kAddressLimit = uint64_t{1} << 47;
// Code is below kSystemBase, where the tables and the stub stand: a guest that
// went there would fault at once, and be taken for one that is in the stub.

// The selectors a guest believes to run with: what Solo5's tenders start it
// with and its bindings go on using.
constexpr uint64_t kGuestCode = 0x8;
constexpr uint64_t kGuestData = 0x10;

// The flags that a program may set: not the privilege level of I/O.
constexpr uint64_t kOwnFlags = 0x240dd5;
// What entering a handler clears: TF, IF, NT, RF.
constexpr uint64_t kClearedFlags = 0x14300;

constexpr uint64_t kPresentBit = uint64_t{1} << 47;
// The sixth byte of a descriptor: a task state that is present and not busy,
// whoever may use it. That it becomes busy is not written down.
constexpr uint64_t kAvailableTask = 0x89;
constexpr uint64_t kPrivilege = 0x60;

uint64_t FromLevel3(uint64_t flags) {
  return (flags & kOwnFlags) | kIoAtLevel3 | kAlwaysSet;
}

void SetPair(kvm_regs* regs, uint64_t value) {
  regs->rax = value & 0xffffffff;
  regs->rdx = value >> 32;
}

uint64_t Pair(const kvm_regs& regs) {
  return (regs.rdx << 32) | (regs.rax & 0xffffffff);
}

}  // namespace

Outcome Emulator::Step(kvm_regs* regs, kvm_sregs* sregs, Io* io) {
  uint8_t code[kMaxInstruction];
  if (regs->rip >= memory_->size()) return Outcome::kRefuse;
  const uint64_t length =
      std::min<uint64_t>(sizeof(code), memory_->size() - regs->rip);
  if (!memory_->IsReadable(regs->rip, length)) return Outcome::kRefuse;
  std::memcpy(code, memory_->At(regs->rip), length);
  const Instruction instruction = Decode({code, length}, *regs);
  const uint64_t next = regs->rip + instruction.length;
  const Outcome outcome = Execute(instruction, regs, sregs, io);
  const bool jumped = instruction.op == Op::kFarReturn ||
                      instruction.op == Op::kInterruptReturn;
  if (!jumped && (outcome == Outcome::kDone || outcome == Outcome::kOut)) {
    regs->rip = next;
  }
  return outcome;
}

Outcome Emulator::Execute(const Instruction& instruction, kvm_regs* regs,
                          kvm_sregs* sregs, Io* io) {
  switch (instruction.op) {
    case Op::kIn:
    case Op::kOut:
      *io = {instruction.port, instruction.size,
             static_cast<uint32_t>(regs->rax)};
      return instruction.op == Op::kOut ? Outcome::kOut : Outcome::kPort;
    case Op::kStringPort:
      io->port = instruction.port;
      return Outcome::kPort;
    case Op::kReadMsr:
      return ReadMsr(regs, sregs);
    case Op::kWriteMsr:
      return WriteMsr(*regs, sregs);
    case Op::kLoadGdt:
      return LoadTable(instruction.address, &gdt_);
    case Op::kLoadIdt:
      return LoadTable(instruction.address, &idt_);
    case Op::kLoadTask:
      return LoadTask(instruction, *regs);
    case Op::kLoadSegment:
      return LoadSegment(instruction, sregs);
    case Op::kFarReturn:
      return FarReturn(regs);
    case Op::kInterruptReturn:
      return InterruptReturn(regs);
    case Op::kReadControl:
      return ReadControl(instruction, regs, *sregs);
    case Op::kReadTscp:
      regs->rcx = 0;
      [[fallthrough]];
    case Op::kReadTsc:
      SetPair(regs, __builtin_ia32_rdtsc());
      return Outcome::kDone;
    case Op::kCpuid:
      GuestCpuid(*sregs, regs);
      return Outcome::kDone;
    case Op::kSwapGs:
      std::swap(sregs->gs.base, other_gs_base_);
      return Outcome::kDone;
    case Op::kHalt:
      return Outcome::kHalt;
    case Op::kInterruptFlag:
      return Outcome::kDone;  // there are no interrupts
    case Op::kWriteControl:
    case Op::kUnknown:
      break;
  }
  return Outcome::kRefuse;
}

__u64* Emulator::Msr(uint32_t number, kvm_sregs* sregs) {
  switch (number) {
    case kFsBase:
      return &sregs->fs.base;
    case kGsBase:
      return &sregs->gs.base;
    case kOtherGsBase:
      return &other_gs_base_;
    default:
      return nullptr;
  }
}

Outcome Emulator::ReadMsr(kvm_regs* regs, kvm_sregs* sregs) {
  const __u64* const from = Msr(static_cast<uint32_t>(regs->rcx), sregs);
  if (from == nullptr) return Outcome::kRefuse;
  SetPair(regs, *from);
  return Outcome::kDone;
}

Outcome Emulator::WriteMsr(const kvm_regs& regs, kvm_sregs* sregs) {
  __u64* const to = Msr(static_cast<uint32_t>(regs.rcx), sregs);
  const uint64_t value = Pair(regs);
  if (to == nullptr || value >= kAddressLimit) return Outcome::kRefuse;
  *to = value;
  return Outcome::kDone;
}

Outcome Emulator::LoadTable(uint64_t address, Table* table) const {
  return memory_->Load(address, table) ? Outcome::kDone : Outcome::kRefuse;
}

Outcome Emulator::LoadTask(const Instruction& instruction,
                           const kvm_regs& regs) {
  uint16_t selector = 0;
  if (!instruction.in_memory) {
    selector = static_cast<uint16_t>(regs.*RegisterAt(instruction.rm));
  } else if (!memory_->Load(instruction.address, &selector)) {
    return Outcome::kRefuse;
  }
  uint64_t descriptor[2];
  const uint64_t offset = selector & ~7u;
  const bool is_global = (selector & 4) == 0;
  if (offset == 0 || !is_global ||
      offset + sizeof(descriptor) > uint64_t{gdt_.limit} + 1 ||
      !memory_->Load(gdt_.base + offset, &descriptor) ||
      (descriptor[0] >> 40 & 0xff & ~kPrivilege) != kAvailableTask) {
    return Outcome::kRefuse;
  }
  task_base_ = (descriptor[0] >> 16 & 0xffffff) |
               (descriptor[0] >> 56 & 0xff) << 24 | descriptor[1] << 32;
  task_limit_ = static_cast<uint32_t>((descriptor[0] & 0xffff) |
                                      (descriptor[0] >> 48 & 0xf) << 16);
  return Outcome::kDone;
}

// The guest stays with the selectors it has: all segments are flat, so only FS
// and GS can tell, which lose the base that was set through their MSR.
Outcome Emulator::LoadSegment(const Instruction& instruction,
                              kvm_sregs* sregs) const {
  constexpr uint8_t kCs = 1;
  constexpr uint8_t kFs = 4;
  constexpr uint8_t kGs = 5;
  const uint8_t number = instruction.reg & 7;
  if (number == kCs || number > kGs) return Outcome::kRefuse;
  if (number == kFs) sregs->fs.base = 0;
  if (number == kGs) sregs->gs.base = 0;
  return Outcome::kDone;
}

Outcome Emulator::FarReturn(kvm_regs* regs) const {
  uint64_t popped[2];  // RIP, CS
  if (!memory_->Load(regs->rsp, &popped) || popped[0] >= kSystemBase) {
    return Outcome::kRefuse;
  }
  regs->rip = popped[0];
  regs->rsp += sizeof(popped);
  return Outcome::kDone;
}

Outcome Emulator::InterruptReturn(kvm_regs* regs) const {
  uint64_t popped[5];  // RIP, CS, RFLAGS, RSP, SS
  if (!memory_->Load(regs->rsp, &popped) || popped[0] >= kSystemBase ||
      popped[3] >= kAddressLimit) {
    return Outcome::kRefuse;
  }
  regs->rip = popped[0];
  regs->rflags = FromLevel3(popped[2]);
  regs->rsp = popped[3];
  return Outcome::kDone;
}

Outcome Emulator::ReadControl(const Instruction& instruction, kvm_regs* regs,
                              const kvm_sregs& sregs) const {
  __u64& to = regs->*RegisterAt(instruction.rm);
  switch (instruction.reg) {
    case 0:
      to = sregs.cr0;
      return Outcome::kDone;
    case 2:  // of the last page fault
      to = sregs.cr2;
      return Outcome::kDone;
    case 4:
      to = sregs.cr4;
      return Outcome::kDone;
    default:  // CR3 is the tender's affair
      return Outcome::kRefuse;
  }
}

Emulator::Tables Emulator::tables() const {
  return {gdt_.base,  idt_.base,  task_base_,    task_limit_,
          gdt_.limit, idt_.limit, other_gs_base_};
}

void Emulator::SetTables(const Tables& tables) {
  gdt_ = {tables.gdt_limit, tables.gdt_base};
  idt_ = {tables.idt_limit, tables.idt_base};
  task_base_ = tables.task_base;
  task_limit_ = tables.task_limit;
  other_gs_base_ =
      tables.other_gs_base < kAddressLimit ? tables.other_gs_base : 0;
}

bool Emulator::FindStack(uint8_t index, uint64_t* stack) const {
  if (index == 0) return true;  // the handler goes on with the guest's own
  const uint64_t offset = 0x24 + (index - 1u) * sizeof(*stack);
  return offset + sizeof(*stack) <= uint64_t{task_limit_} + 1 &&
         memory_->Load(task_base_ + offset, stack);
}

bool Emulator::Deliver(const Exception& exception, kvm_regs* regs) const {
  uint64_t gate[2];
  const uint64_t offset = exception.vector * sizeof(gate);
  if (offset + sizeof(gate) > uint64_t{idt_.limit} + 1 ||
      !memory_->Load(idt_.base + offset, &gate) ||
      (gate[0] & kPresentBit) == 0) {
    return false;
  }
  const uint64_t handler = (gate[0] & 0xffff) | (gate[0] >> 48 & 0xffff) << 16 |
                           (gate[1] & 0xffffffff) << 32;
  uint64_t stack = regs->rsp;
  if (!FindStack(gate[0] >> 32 & 7, &stack)) return false;
  stack &= ~uint64_t{15};
  struct {
    uint64_t error, rip, cs, rflags, rsp, ss;
  } frame = {exception.error, regs->rip, kGuestCode,
             regs->rflags,    regs->rsp, kGuestData};
  const bool has_error = HasErrorCode(exception.vector);
  const uint64_t bytes =
      has_error ? sizeof(frame) : sizeof(frame) - sizeof(frame.error);
  if (handler >= kSystemBase || !memory_->IsWritable(stack - bytes, bytes)) {
    return false;
  }
  std::memcpy(memory_->At(stack - bytes), has_error ? &frame.error : &frame.rip,
              bytes);
  regs->rsp = stack - bytes;
  regs->rip = handler;
  regs->rflags = FromLevel3(regs->rflags & ~kClearedFlags);
  return true;
}

}  // namespace serai::tender::hvt
