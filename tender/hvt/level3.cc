// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/level3.h"

#include "tender/hvt/cpu.h"
#include "tender/hvt/debugger.h"
#include "tender/hvt/layout.h"
#include "tender/hvt/paging.h"
#include "tender/hvt/stub.h"

namespace serai::tender::hvt {

void Level3::SetUp(const Guest& guest) {
  BuildStub(system_);
  BuildPageTables(system_, guest.memory + guest.ring_size,
                  guest.unikernel.LoadedSegments(),
                  guest.options->executable_heap);
  SetStartSystemRegisters(EnableAvx(processor_->fd()), &processor_->sregs());
  SetStartRegisters(guest.unikernel.entry, guest.memory, &processor_->regs());
  processor_->ChangeRegisters();
  processor_->ChangeSystemRegisters();
}

bool Level3::IsInStub() const {
  return VectorAt(processor_->regs().rip).has_value();
}

bool Level3::ServeExit() {
  const auto vector = VectorAt(processor_->regs().rip);
  if (vector) {
    OnTrap(*vector);
  } else {
    // This processor lets the guest reach its ports, so traps will be rare and
    // every exit need not pay for the system registers.
    processor_->KeepSystemRegisters(false);
  }
  return vector.has_value();
}

// The guest did something that level 3 may not, or that is wrong at any level.
void Level3::OnTrap(uint8_t vector) {
  ++counters_->traps;
  const TrapFrame frame = ReadTrapFrame(system_, vector);
  if ((frame.cs & 3) != 3) {
    Fatal("KVM: exception %u in ring 0: rip=0x%llx", vector,
          static_cast<unsigned long long>(frame.rip));
  }
  processor_->FetchSystemRegisters();
  SetUserSegments(&processor_->sregs());
  kvm_regs& regs = processor_->regs();
  regs.rip = frame.rip;
  regs.rsp = frame.rsp;
  regs.rflags = frame.rflags;
  processor_->ChangeRegisters();
  processor_->ChangeSystemRegisters();
  if (debugger_ != nullptr && debugger_->TakeTrap(vector)) return;
  const Exception exception = {vector, frame.error};
  if (vector == kPageFault) CheckPageFault(exception);
  // Bit 1 tells of an interrupt gate: the guest used `int`, which is no more
  // its right here than on a bare processor.
  const bool refused = vector == kGeneralProtection && (frame.error & 2) == 0;
  if (!refused || !DoRefusedInstruction()) Deliver(exception);
  if (debugger_ != nullptr) debugger_->FinishTrap();
}

void Level3::Deliver(const Exception& exception) {
  if (debugger_ != nullptr && !debugger_->Allow(exception)) return;
  kvm_regs& regs = processor_->regs();
  const uint64_t rip = regs.rip;
  ++counters_->exceptions;
  fault_ = {exception, regs};
  faulted_ = true;
  if (emulator_.Deliver(exception, &regs)) return;
  Violation(
      "KVM: guest exception %u (error 0x%llx, cr2 0x%llx) without a "
      "handler: rip=0x%llx",
      exception.vector, static_cast<unsigned long long>(exception.error),
      processor_->sregs().cr2, static_cast<unsigned long long>(rip));
}

// Whether the instruction is done; else the exception is the guest's.
bool Level3::DoRefusedInstruction() {
  using Outcome = Emulator::Outcome;
  Emulator::Io io;
  kvm_regs& regs = processor_->regs();
  switch (emulator_.Step(&regs, &processor_->sregs(), &io)) {
    case Outcome::kDone:
      ++counters_->emulated;
      NoteReturn();
      return true;
    case Outcome::kOut:
      hypercalls_->Serve(io.port, io.size, io.value);
      return true;
    case Outcome::kPort:
      Violation("Invalid guest port access: port=0x%x", io.port);
    case Outcome::kHalt:
      Violation("KVM: the guest halted its processor: rip=0x%llx", regs.rip);
    case Outcome::kRefuse:
      break;
  }
  return false;
}

// A handler's own stack is below what it goes back to.
void Level3::NoteReturn() {
  if (faulted_ && processor_->regs().rsp == fault_.regs.rsp) faulted_ = false;
}

// A guest that writes or executes what its own file forbids is beyond rescue,
// and its handlers would run on the same data.
void Level3::CheckPageFault(const Exception& exception) {
  const bool forbidden = (exception.error & 1) != 0;
  const uint64_t address = processor_->sregs().cr2;
  if (!forbidden || address < solo5::kMinLoadAddress ||
      address >= memory_size_) {
    return;
  }
  fault_ = {exception, processor_->regs()};
  faulted_ = true;
  const bool write = (exception.error & 2) != 0;
  const bool fetch = (exception.error & 16) != 0;
  Violation("KVM: host/guest translation fault: rip=0x%llx, %s of 0x%llx",
            processor_->regs().rip,
            write   ? "write"
            : fetch ? "execution"
                    : "read",
            static_cast<unsigned long long>(address));
}

}  // namespace serai::tender::hvt
